# ruff: noqa: ARG001  # all rules have the same arguments
"""The rules: values for the settings that a user leaves to `auto`, found from facts of the series.

Each rule returns a value and the reason for it. docs/settings.md explains them, and how to depart from them.
"""

from collections.abc import Callable
from typing import Any

from models.data.calendar_steps import WeekdayStep
from models.data.facts import FEWEST_SEASONS, Facts
from models.specs import RECURRENT, Setting, Settings

SHARE = 0.15
"""Share of a series in its validation part, and in its test part, if that is long enough."""
LEAST_STEPS = 1_000
"""Training steps that even a short series gets."""
MOST_STEPS = 5_000
"""Training steps that even a very large panel gets in an epoch."""
FINAL_STEPS = 200
"""Steps on training and validation part together."""
BATCH, MEMBERS = 64, 5
LEAST_WINDOW, MOST_WINDOW = 8, 336
"""Shortest and longest window, but for very short series and very long seasons."""
LONGEST_PATH = 104
"""Most steps of the recurrence that are usual; a longer window is read in segments."""
LEAST_SEASONALITY = 0.2
"""Share of the variance that has to repeat with the season for targets to be counted from the last season."""
MOST_ZEROS = 0.3
"""Share of zeros up to which the median of a forecast means something."""

Reasoned = tuple[Any, str]
"""A value, and the reason for it in words."""


def choose_horizon(season: int, length: int) -> Reasoned:
    """Return the steps to forecast where the user asks for none, in series of `length` points."""
    most = max(1, length // 8)
    if season > most:
        return most, f"an eighth of {length:,} points"
    return season, f"one season of {season}" if season > 1 else "the time axis has no season"


def choose_part(length: int, horizon: int, rest: int) -> Reasoned:
    """Return the size of the validation or test part of series of `length` points, as in `SplitSpec`.

    **Arguments:** `rest`, the points that the other parts leave.
    """
    usual, most = int(SHARE * length), max(1, rest // 3)
    if horizon <= usual <= most:
        return SHARE, f"of {length:,} points, {usual:,} hold the {horizon} steps to forecast"
    if horizon > most:
        return most, f"a third of the {rest:,} points that are left, less than the {horizon} steps to forecast"
    return min(max(horizon, usual), most), f"of {length:,} points, to hold the {horizon} steps to forecast"


def head_steps(facts: Facts, chosen: Settings) -> Reasoned:
    """Return how many steps the network forecasts at once (S)."""
    if not set(chosen.models) <= set(RECURRENT):
        return 1, "elman and numpy_rnn forecast one step, and further ones from their own forecasts"
    most = max(1, facts.length // 3)
    if facts.horizon > most:
        return most, f"a third of the {facts.length} points to learn from; further steps come from its own forecasts"
    return facts.horizon, "all steps at once"


def window_length(facts: Facts, chosen: Settings) -> Reasoned:
    """Return how many past values the network reads (T)."""
    season, room = facts.season, facts.length - chosen.window.horizon
    if facts.step.is_shorter_than_day and 7 * season <= MOST_WINDOW:
        length, reason = 7 * season, f"seven seasons of {season}"
    elif isinstance(facts.step, WeekdayStep) or season in (5, 7):
        length, reason = 4 * season, f"four weeks of {season}"
    elif season > 1:
        length, reason = max(2 * season, LEAST_WINDOW), f"two seasons of {season}"
    else:
        length, reason = max(facts.horizon, 20), "without a season, the horizon or at least 20"
    if length <= room / 2:
        return length, reason
    most = max(1, min(length, max(season, room // 2), room))
    return most, f"as many as {facts.length} points to learn from leave room for, less than {reason}"


def short_series(facts: Facts, chosen: Settings) -> Reasoned:
    """Return what to do with series that are too short for a window."""
    if facts.n_series == 1:
        return "error", "there is one series"
    if facts.shortest < 1:
        return "leave_out", "some series have no points left to learn from"
    return "pad", "so that short series are forecast too"


def transform(facts: Facts, chosen: Settings) -> Reasoned:
    """Return how to transform values."""
    if not facts.positive:
        return "none", "not all values are above 0"
    if facts.growing_spread:
        return "log", "the spread grows with the level"
    return "none", "the spread does not grow with the level"


def calendar(facts: Facts, chosen: Settings) -> Reasoned:
    """Return the parts of the timestamp to read."""
    if not set(chosen.models) <= set(RECURRENT):
        return (), "elman and numpy_rnn read values alone"
    if facts.step.is_shorter_than_day:
        return ("hour", "weekday"), "the step is below a day"
    return (), "the step is not below a day"


def target_offset(facts: Facts, chosen: Settings) -> Reasoned:
    """Return what is subtracted from a window's targets."""
    share = f"{100 * facts.seasonality:.0f} % of the variance about the trend repeats with the season"
    if facts.season < 2:
        return "last", "the time axis has no season"
    if facts.season > chosen.window.length:
        return "last", f"the window of {chosen.window.length} holds no season of {facts.season}"
    if facts.length < FEWEST_SEASONS * facts.season:
        return "last", f"{facts.length} points are too few to measure a season of {facts.season}"
    return ("season" if facts.seasonality >= LEAST_SEASONALITY else "last"), share


def segment(facts: Facts, chosen: Settings) -> Reasoned:
    """Return how many values the network reads in one step."""
    length, season = chosen.window.length, facts.season
    if facts.step.is_shorter_than_day and length >= 4 * season:
        return season, f"a season of {season} in one step"
    if length <= LONGEST_PATH:
        return 1, f"a window of {length} is short enough"
    return -(-length // LONGEST_PATH), f"a window of {length} in steps of one would be slow"


def highway(facts: Facts, chosen: Settings) -> Reasoned:
    """Return how many last values of a window go directly to the head."""
    return chosen.window.length, "the whole window, as in an autoregression"


def batch(facts: Facts, chosen: Settings) -> Reasoned:
    """Return the windows of one step (B)."""
    return BATCH, "as usual"


def count_windows(facts: Facts, chosen: Settings) -> int:
    """Return about how many training windows a network has."""
    windows = max(1, facts.points - facts.n_series * (chosen.window.length + chosen.window.horizon - 1))
    return windows if chosen.fit.scope == "global" else -(-windows // facts.n_series)


def windows(facts: Facts, chosen: Settings) -> Reasoned:
    """Return the training windows of an epoch, or None for all."""
    most, count = MOST_STEPS * chosen.fit.batch, count_windows(facts, chosen)
    if count > most:
        return most, f"drawn from about {count:,}, for {MOST_STEPS:,} steps an epoch"
    return None, f"about {count:,}"


def epochs(facts: Facts, chosen: Settings) -> Reasoned:
    """Return the most passes over the training windows."""
    windows = min(count_windows(facts, chosen), chosen.fit.windows or MOST_STEPS * chosen.fit.batch)
    steps = -(-windows // chosen.fit.batch)
    return -(-LEAST_STEPS // steps), f"{LEAST_STEPS:,} steps, {steps:,} an epoch for about {windows:,} windows"


def loss(facts: Facts, chosen: Settings) -> Reasoned:
    """Return the loss."""
    if facts.zeros > MOST_ZEROS:
        return "mse", f"{100 * facts.zeros:.0f} % of the values are 0, and the absolute error would favour 0"
    return "mae", "outliers count less"


def members(facts: Facts, chosen: Settings) -> Reasoned:
    """Return the members of the ensemble (K)."""
    return MEMBERS, "their median varies less from seed to seed"


def final_steps(facts: Facts, chosen: Settings) -> Reasoned:
    """Return the steps on training and validation part together."""
    return FINAL_STEPS, "the latest values say most about the next ones"


Rule = Callable[[Facts, Settings], Reasoned]
RULES: dict[str, Rule] = {
    "window.horizon": head_steps,
    "window.length": window_length,
    "window.short": short_series,
    "window.transform": transform,
    "window.calendar": calendar,
    "recurrent.target_offset": target_offset,
    "recurrent.segment": segment,
    "recurrent.highway": highway,
    "fit.batch": batch,
    "fit.windows": windows,
    "fit.epochs": epochs,
    "fit.loss": loss,
    "fit.members": members,
    "fit.final_steps": final_steps,
}
"""The rule of each option, in the order in which they are applied: a rule may read what those before it chose."""


def apply_rules(facts: Facts, settings: Settings) -> tuple[Settings, list[Setting]]:
    """Replace every `auto` by what its rule chooses; returns the settings, and the choices."""
    choices = []
    for option, rule in RULES.items():
        if settings.leaves(option):
            value, reason = rule(facts, settings)
            settings = settings.replaced(option, value)
            choices.append(Setting(option, value, reason))
    return settings, choices

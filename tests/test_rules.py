"""The rules: each by numbers that can be checked by hand, and a user's settings stay as they are."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from models.data.facts import Facts
from models.data.panel import panel_from_frame
from models.data.step_names import parse_step
from models.rules import RULES, apply_rules, choose_horizon, choose_part
from models.specs import (
    AutoFit,
    AutoRecurrent,
    AutoSplit,
    AutoWindow,
    FitSpec,
    RecurrentSpec,
    Settings,
    SplitSpec,
    WindowSpec,
)
from tasks.data.series import Series
from tasks.data.settings import choose_settings, settle_split

RECURRENT = ("rnn", "gru", "lstm")
MONTHLY = Facts(
    step=parse_step("MS"), season=12, horizon=12, n_series=1, length=100, shortest=100, points=100,
    positive=True, growing_spread=True, seasonality=0.9, zeros=0.0, gaps=0.0,
)  # fmt: skip


def chosen(models: tuple[str, ...] = RECURRENT, given: dict[str, Any] | None = None, **facts: Any) -> Settings:
    """Return what the rules choose for facts that differ from `MONTHLY`, where the user gives a window."""
    if "step" in facts:
        facts["step"] = parse_step(str(facts["step"]))
    left = Settings(models, AutoWindow(**given or {}), AutoRecurrent(), AutoFit())
    return apply_rules(MONTHLY._replace(**facts), left)[0]


def hours(**facts: Any) -> dict[str, Any]:
    return {"step": "h", "season": 24, "horizon": 24, "length": 6_000, "points": 6_000, **facts}


@pytest.mark.parametrize(
    ("facts", "length"),
    [
        ({}, 24),  # two seasons
        ({"season": 4, "step": "3MS"}, 8),
        ({"season": 2}, 8),  # at least eight values
        ({"season": 7, "step": "D", "length": 500}, 28),  # four weeks
        ({"season": 5, "step": "B", "length": 500}, 20),
        ({"season": 6, "step": "Mon-Sat", "length": 500}, 24),
        ({"season": 7, "step": "B 10:00-16:00/h", "length": 500}, 49),  # seven sessions
        ({"season": 52, "step": "7D", "length": 900}, 104),
        (hours(), 168),  # seven days
        (hours(step="30min", season=48), 336),
        (hours(step="15min", season=96), 192),  # seven days would be more than 336
        ({"season": 1, "step": 1}, 20),
        ({"season": 1, "step": 1, "horizon": 30, "length": 500}, 30),
        ({"length": 40}, 14),  # half of 40 points less a horizon
        ({"length": 30, "horizon": 10}, 12),  # a season at least
        ({"length": 15, "horizon": 5}, 10),  # not even that
    ],
)
def test_the_window_holds_two_seasons_where_there_is_room(facts: dict[str, Any], length: int) -> None:
    assert chosen(**facts).window.length == length


@pytest.mark.parametrize(("points", "head"), [(100, 12), (36, 12), (30, 10), (2, 1)])
def test_the_head_forecasts_the_horizon_or_a_third_of_the_points(points: int, head: int) -> None:
    assert chosen(length=points).window.horizon == head


@pytest.mark.parametrize("length", range(1, 60))
@pytest.mark.parametrize("season", [1, 4, 12])
def test_a_window_and_its_targets_fit_into_the_training_part(length: int, season: int) -> None:
    window = chosen(length=length, season=season).window
    assert window.length + window.horizon <= max(length, 2)


def test_models_that_forecast_one_step_get_a_head_of_one_and_no_covariates() -> None:
    window = chosen(models=("gru", "elman"), **hours()).window
    assert (window.horizon, window.calendar) == (1, ())


@pytest.mark.parametrize(
    ("facts", "transform"),
    [({}, "log"), ({"growing_spread": False}, "none"), ({"positive": False}, "none")],
)
def test_logarithms_are_taken_where_the_spread_grows_and_all_values_are_positive(
    facts: dict[str, Any], transform: str
) -> None:
    assert chosen(**facts).window.transform == transform


@pytest.mark.parametrize(
    ("step", "parts"), [("h", ("hour", "weekday")), ("15min", ("hour", "weekday")), ("D", ()), ("MS", ()), ("1", ())]
)
def test_the_calendar_is_read_below_a_day(step: str, parts: tuple[str, ...]) -> None:
    assert chosen(step=step).window.calendar == parts


@pytest.mark.parametrize(
    ("facts", "offset"),
    [
        ({}, "season"),
        ({"seasonality": 0.19}, "last"),
        ({"season": 1}, "last"),
        ({"length": 10, "horizon": 3}, "last"),  # the window of 7 holds no season
    ],
)
def test_targets_are_counted_from_the_last_season_where_one_fits(facts: dict[str, Any], offset: str) -> None:
    assert chosen(**facts).recurrent.target_offset == offset


@pytest.mark.parametrize(
    ("facts", "segment"),
    [({}, 1), ({"season": 52, "step": "7D", "length": 900}, 1), (hours(), 24), (hours(step="15min", season=96), 2)],
)
def test_long_windows_are_read_in_segments(facts: dict[str, Any], segment: int) -> None:
    assert chosen(**facts).recurrent.segment == segment


def test_the_epochs_come_to_a_thousand_steps() -> None:
    # 100 points hold 100 - 24 - 12 + 1 = 65 windows, which are 2 batches of 64.
    assert chosen().fit.epochs == 500
    assert chosen(points=5_000, n_series=50).fit.epochs == 20  # 5,000 - 50 * 35 = 3,250 windows are 51 batches
    assert chosen(points=10_000_000).fit.epochs == 1


def test_of_very_many_windows_some_are_drawn_for_an_epoch() -> None:
    assert (chosen().fit.windows, chosen(points=10_000_000).fit.windows) == (None, 320_000)


def test_many_zeros_ask_for_the_squared_error() -> None:
    assert (chosen().fit.loss, chosen(zeros=0.31).fit.loss) == ("mae", "mse")


def test_short_series_among_several_are_padded() -> None:
    assert [chosen(n_series=n).window.short for n in (1, 2)] == ["error", "pad"]
    assert chosen(n_series=2, shortest=0).window.short == "leave_out"


def test_what_the_user_gives_stays_and_the_rules_go_on_from_it() -> None:
    given: dict[str, Any] = {"length": 30, "transform": "none"}
    user = Settings(RECURRENT, AutoWindow(**given), AutoRecurrent(segment=3), AutoFit(epochs=7))
    settings, made = apply_rules(MONTHLY, user)
    assert (settings.window.length, settings.window.transform, settings.recurrent.highway) == (30, "none", 30)
    assert (settings.recurrent.segment, settings.fit.epochs) == (3, 7)
    left = {"window.length", "window.transform", "recurrent.segment", "fit.epochs"}
    assert {setting.option for setting in made} == set(RULES) - left


def test_a_plain_spec_leaves_nothing_to_the_rules() -> None:
    plain = (WindowSpec(), RecurrentSpec(), FitSpec())
    kinds = (AutoWindow, AutoRecurrent, AutoFit)
    auto: Any = [kind.model_validate(spec) for kind, spec in zip(kinds, plain, strict=True)]
    settings, made = apply_rules(MONTHLY, Settings(RECURRENT, *auto))
    assert (settings.plain(), made) == (plain, [])


def test_a_choice_is_a_line_with_its_reason() -> None:
    _, made = apply_rules(MONTHLY, Settings(RECURRENT, AutoWindow(), AutoRecurrent(), AutoFit()))
    lines = [str(setting) for setting in made]
    assert "--window.length 24 (two seasons of 12)" in lines
    assert "--window.calendar none (the step is not below a day)" in lines
    assert "--fit.final-steps 200 (the latest values say most about the next ones)" in lines


@pytest.mark.parametrize(
    ("season", "length", "horizon"), [(12, 144, 12), (12, 80, 10), (1, 500, 1), (52, 2_000, 52), (4, 6, 1)]
)
def test_without_a_horizon_one_season_is_forecast(season: int, length: int, horizon: int) -> None:
    assert choose_horizon(season, length)[0] == horizon


@pytest.mark.parametrize(
    ("length", "horizon", "rest", "size"),
    [
        (200, 12, 200, 0.15),
        (144, 12, 108, 0.15),  # 21 points
        (60, 12, 60, 12),  # 9 points hold no horizon
        (24, 8, 24, 8),
        (24, 8, 16, 5),  # a third of what the test part leaves
        (4, 8, 4, 1),
    ],
)
def test_a_part_holds_the_horizon_where_it_can(length: int, horizon: int, rest: int, size: float) -> None:
    assert choose_part(length, horizon, rest)[0] == size


def test_the_parts_that_the_user_gives_are_taken_off_first() -> None:
    assert settle_split(144, 12, AutoSplit(test=36))[0] == SplitSpec(test=36, validation=0.15)
    assert settle_split(60, 12, AutoSplit(test=0.5))[0] == SplitSpec(test=0.5, validation=10)
    assert settle_split(100, 5, AutoSplit(train=80, validation=10))[0] == SplitSpec(train=80, validation=10, test=3)


@pytest.mark.parametrize(
    ("step", "season"),
    [("h", 24), ("2h", 12), ("4h", 6), ("5min", 288), ("10min", 144), ("15min", 96), ("7h", 1), ("min", 1), ("D", 7)],
)
def test_the_season_of_a_step_below_a_day_is_a_day(step: str, season: int) -> None:
    assert parse_step(step).season == season


def test_the_settings_of_a_series_come_from_its_own_facts() -> None:
    months = pd.date_range("2010-01-01", periods=120, freq="MS")
    wave = np.tile([1.0, 3, 2, 1, 2, 3, 4, 6, 5, 3, 2, 1], 10)
    growing = wave * np.repeat(np.arange(1.0, 11.0), 12)
    table = pd.DataFrame({"unique_id": "a", "ds": months.astype("datetime64[us]"), "y": growing})
    series = Series("a", panel_from_frame(table, "last")[0], (), "", "y", "a")
    auto: Any = (AutoWindow(), AutoSplit(), AutoRecurrent(), AutoFit())
    settings = choose_settings.fn(series, RECURRENT, 6, None, *auto)
    assert (settings.horizon, settings.season) == (6, 12)
    assert (settings.window.transform, settings.recurrent.target_offset) == ("log", "season")
    assert settings.explained()["auto"]["window.horizon"] == "6: all steps at once"
    assert settings.explained()["facts"]["season"] == 12
    given = choose_settings.fn(series, RECURRENT, None, 3, AutoWindow(horizon=4), *auto[1:])
    assert (given.horizon, given.season, given.window.horizon) == (4, 3, 4)

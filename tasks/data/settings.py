"""Choose the settings of a run: what the user gives, and what the rules find in the series."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE

from models.data.facts import Facts, measure_facts
from models.data.splits import cut_series
from models.rules import RULES, apply_rules, choose_horizon, choose_part
from models.specs import (
    AUTO,
    AutoFit,
    AutoRecurrent,
    AutoSplit,
    AutoWindow,
    FitSpec,
    FreeRun,
    ModelSpec,
    RecurrentSpec,
    Setting,
    Settings,
    SplitSpec,
    WindowSpec,
)
from tasks.data.preparation import Dataset, prepare_data
from tasks.data.series import Series, wave_season


@dataclass(frozen=True)
class RunSettings:
    """The settings of a run without any `auto`: `horizon` steps to forecast, a `season` in points, and specs.

    `choices` are what the rules have chosen, and `facts` what they read of the training part, if it was read.
    """

    horizon: int
    season: int
    window: WindowSpec
    split: SplitSpec
    recurrent: RecurrentSpec
    fit: FitSpec
    choices: Sequence[Setting]
    facts: Facts | None

    def spec(self, model: str, **others: Any) -> ModelSpec:
        """Return the spec of a model; `others` are its settings that no rule concerns."""
        return ModelSpec(
            model=model, window=self.window, season=self.season, recurrent=self.recurrent, fit=self.fit, **others
        )

    def prepare(self, series: Series, free_run: FreeRun) -> Dataset:
        """Split the series and list its windows."""
        return prepare_data(series, self.window, self.split, self.season, free_run, self.horizon)

    def as_parameters(self) -> dict[str, Any]:
        """Return the settings by the names of a flow's parameters."""
        names = ("horizon", "season", "window", "split", "recurrent", "fit")
        return {name: getattr(self, name) for name in names}

    def explained(self) -> dict[str, Any]:
        """Return what the rules have chosen, with the reasons, as `auto`, and the facts that they read as `facts`."""
        facts = self.facts._asdict() | {"step": str(self.facts.step)} if self.facts else {}
        chosen = {choice.option: f"{choice.text}: {choice.reason}" for choice in self.choices}
        return {"auto": chosen, "facts": facts}


@task(task_run_name="choose_settings", cache_policy=NO_CACHE)
def choose_settings(
    series: Series,
    models: Sequence[str],
    horizon: int | None,
    season: int | None,
    window: AutoWindow,
    split: AutoSplit,
    recurrent: AutoRecurrent,
    fit: AutoFit,
) -> RunSettings:
    """Replace every `auto` by what the rules choose for the series.

    The parts are chosen first, from the lengths of the series. All other rules read the training part alone.
    """
    panel, choices = series.panel, list[Setting]()
    if season is None:
        season = wave_season(series.wave) if series.wave else panel.step.season
        reason = "the period of the wave" if series.wave else f"the step of the time axis is {panel.step}"
        choices.append(Setting("season", season, reason))
    length = int(np.median(panel.ends - panel.starts))
    if horizon is None and not window.leaves("horizon"):
        horizon = window.horizon
    if horizon is None:
        horizon, reason = choose_horizon(season, length)
        choices.append(Setting("horizon", horizon, reason))
    plain_split, of_parts = settle_split(length, horizon, split)
    choices += of_parts
    settings, facts = Settings(tuple(models), direct_window(window, horizon), recurrent, fit), None
    if any(settings.leaves(option) for option in RULES):
        facts = measure_facts(panel, cut_series(panel, plain_split).train, season, horizon)
        settings, of_training = apply_rules(facts, settings)
        choices += of_training
    plain_window, plain_recurrent, plain_fit = settings.plain()
    return RunSettings(horizon, season, plain_window, plain_split, plain_recurrent, plain_fit, choices, facts)


def direct_window(window: AutoWindow, horizon: int) -> AutoWindow:
    """Return the window with a head of at most `horizon` steps: more steps than are asked for are not learned."""
    if window.leaves("horizon"):
        return window
    return window.model_copy(update={"horizon": min(window.horizon, horizon)})


def settle_split(length: int, horizon: int, split: AutoSplit) -> tuple[SplitSpec, list[Setting]]:
    """Replace the sizes of parts that are `auto`, for series of `length` points; returns the split, and the choices."""
    sizes: dict[str, Any] = split.model_dump()
    choices = list[Setting]()
    for part in ("test", "validation"):
        if split.leaves(part):
            others = [size for name, size in sizes.items() if name != part and size not in (None, AUTO)]
            rest = length - sum(int(size if size >= 1 else size * length) for size in others)
            sizes[part], reason = choose_part(length, horizon, rest)
            choices.append(Setting(f"split.{part}", sizes[part], reason))
    return SplitSpec(**sizes), choices

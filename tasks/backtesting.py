"""Forecast from rolling origins over the test part, as a forecaster at each of them would have."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from prefect import task
from prefect.cache_policies import NO_CACHE

from models.baselines import fit_baseline
from models.errors import InputError
from models.forecaster import Forecaster, build_network, interval_units
from models.intervals import Intervals, fixed_sizes, rolling_sizes
from models.metrics import Interval, naive_scale
from models.network import Network
from models.specs import IntervalSpec, ModelSpec, RefitSpec, SplitSpec, WindowSpec
from models.windows import origins_within, outcomes
from tasks.preparation import Dataset
from tasks.training import Training


@dataclass(frozen=True)
class Plan:
    """What is forecast: `horizon` (H) steps from each origin, int64 [M], of "val", where there is one, and "test".

    `actual` [M, H] by part is NaN where nothing was observed, and in validation also behind that part.
    """

    data: Dataset
    horizon: int
    origins: dict[str, np.ndarray]
    actual: dict[str, np.ndarray]

    def series(self, part: str) -> np.ndarray:
        """The number of each origin's series, [M]."""
        return self.data.panel.series_of(self.origins[part] - 1)

    def units(self) -> np.ndarray:
        """What the intervals of each series count in, [N]."""
        return interval_units(self.data.panel, self.data.parts.train, self.data.season)

    def scale(self) -> np.ndarray:
        """What MASE divides by, [N]: the seasonal naive's error before the test part."""
        return naive_scale(self.data.panel, self.data.parts.validation, self.data.season)


@dataclass(frozen=True)
class Rolled:
    """Forecasts [M, H] by part, the interval of the test part's, and the seconds that they took."""

    forecasts: dict[str, np.ndarray]
    interval: Interval | None
    seconds: float


def direct_window(window: WindowSpec, horizon: int | None) -> WindowSpec:
    """The window with a head of no more steps than are asked for."""
    return window.model_copy(update={"horizon": min(window.horizon, horizon or window.horizon)})


def with_test_points(split: SplitSpec, test: int | None) -> SplitSpec:
    """The split with a test part of so many points, where they are told."""
    return split if test is None else split.model_copy(update={"test": float(test)})


@task(task_run_name="plan_backtest", cache_policy=NO_CACHE)
def plan_backtest(data: Dataset, horizon: int | None, stride: int) -> Plan:
    """The origins of the test part, `stride` points apart from each series' first one on; those of validation likewise.

    **Raises:** `InputError` where the test part has no room for the horizon.
    """
    panel, parts, length = data.panel, data.parts, data.window.length
    steps = horizon or data.window.horizon
    origins = {"test": _every(data, origins_within(panel, parts.validation, parts.test, length, steps), stride)}
    if len(origins["test"]) == 0:
        raise InputError(f"the test part has no room for {steps} steps ahead; make --test larger or --horizon smaller")
    actual = {"test": outcomes(panel, origins["test"], steps)}
    if "val" in data.origins:
        # Those near the part's end tell of their first steps: a short part is then told by all its points.
        origins["val"] = _every(data, origins_within(panel, parts.train, parts.validation, length, 1), stride)
        actual["val"] = outcomes(panel, origins["val"], steps, parts.validation)
    return Plan(data, steps, origins, actual)


def _every(data: Dataset, origins: np.ndarray, stride: int) -> np.ndarray:
    """Every so many-th of each series' origins."""
    series = data.panel.series_of(origins - 1)
    firsts = np.searchsorted(series, series)  # [M], where each one's series begins
    return origins[(origins - origins[firsts]) % stride == 0]


@task(task_run_name="roll_baseline: {name}", cache_policy=NO_CACHE)
def roll_baseline(name: str, plan: Plan) -> Rolled:
    """The forecasts of a baseline, fitted on the training part where it has anything to fit."""
    began, data = time.perf_counter(), plan.data
    network = fit_baseline(name, data.panel, data.origins["train"], data.window.length, plan.horizon, data.season)
    return Rolled(_forecasts(network, plan), None, time.perf_counter() - began)


@task(task_run_name="roll_model: {training.forecaster.spec.model}", cache_policy=NO_CACHE)
def roll_model(training: Training, plan: Plan, refit: RefitSpec, intervals: IntervalSpec) -> Rolled:
    """The forecasts of a trained model, trained again on the way where `refit` says so, and their intervals."""
    began, forecaster = time.perf_counter(), training.forecaster
    if refit.every:
        forecasts = _forecasts(forecaster, plan, ["val"])
        forecasts["test"] = _refitted_forecasts(forecaster, plan, refit)
    else:
        forecasts = _forecasts(forecaster, plan)
    return Rolled(forecasts, interval_of(forecasts, plan, intervals), time.perf_counter() - began)


def _forecasts(network: Network, plan: Plan, parts: list[str] | None = None) -> dict[str, np.ndarray]:
    """All origins of a part in one pass."""
    wanted = [part for part in parts or plan.origins if part in plan.origins]
    return {part: network.extend(plan.data.panel, plan.horizon, plan.origins[part]) for part in wanted}


def _refitted_forecasts(forecaster: Forecaster, plan: Plan, refit: RefitSpec) -> np.ndarray:
    """Forecasts [M, H] of the test part by networks that go on learning from all that each group of origins knows."""
    origins, panel = plan.origins["test"], plan.data.panel
    forecasts = np.empty((len(origins), plan.horizon))
    for rows in _groups(plan, refit.every):
        known = panel.starts.copy()  # of a series without an origin in this group, nothing more is learnt
        np.maximum.at(known, plan.series("test")[rows], _earliest(plan, rows))
        window = forecaster.spec.window
        train = origins_within(panel, panel.starts, known, window.length, window.horizon)
        forecaster = train_again(forecaster, plan.data, train, refit)
        forecasts[rows] = forecaster.extend(panel, plan.horizon, origins[rows])
    return forecasts


def _groups(plan: Plan, every: int) -> Iterator[np.ndarray]:
    """The rows of the test origins that share one training: the first `every` of each series, the next, ..."""
    series = plan.series("test")
    ranks = np.arange(len(series)) - np.searchsorted(series, series)  # [M], the number of an origin in its series
    for group in range(int(ranks.max()) // every + 1):
        yield np.flatnonzero(ranks // every == group)


def _earliest(plan: Plan, rows: np.ndarray) -> np.ndarray:
    """The first of these origins in each one's series, [m]."""
    series = plan.series("test")[rows]
    return plan.origins["test"][rows][np.searchsorted(series, series)]


def train_again(forecaster: Forecaster, data: Dataset, train: np.ndarray, refit: RefitSpec) -> Forecaster:
    """The forecaster after some epochs more on the origins `train`; its scaling stays."""
    fit = forecaster.spec.fit
    changes = {"epochs": refit.epochs, "learning_rate": refit.learning_rate or fit.learning_rate, "patience": None}
    kinds = {name: getattr(forecaster.spec, name) for name in ("elman", "numpy_rnn")}
    spec: ModelSpec = forecaster.spec.model_copy(
        update={"fit": fit.model_copy(update=changes)}
        | {name: kind.model_copy(update={"epochs": refit.epochs}) for name, kind in kinds.items()}
    )
    old = forecaster.network
    network = build_network(spec, layout=old.layout)
    network.load(old.state())
    scaled = forecaster.scaling.scale(data.panel, network.dtype)
    for _ in network.fit(scaled, train, None):
        pass
    return Forecaster(spec, forecaster.scaling, network, forecaster.fill, forecaster.columns, forecaster.intervals)


def interval_of(forecasts: dict[str, np.ndarray], plan: Plan, spec: IntervalSpec) -> Interval | None:
    """Bounds [M, H] of the test part's forecasts, from the errors in validation, or the latest before each origin.

    None without a validation part.
    """
    if "val" not in forecasts:
        return None
    units, level = plan.units(), spec.level
    of_val, of_test = units[plan.series("val")], units[plan.series("test")]  # [M]
    fixed = fixed_sizes(plan.actual["val"], forecasts["val"], of_val, level)  # [H]
    low, high = Intervals(level, fixed).around(forecasts["test"], of_test)
    if spec.recent is None:
        return low, high
    both = [np.concatenate([plan.origins[part] for part in ("val", "test")])]
    forecast = np.concatenate([forecasts["val"], forecasts["test"]])
    actual = outcomes(plan.data.panel, both[0], plan.horizon, plan.data.parts.test)
    series = plan.data.panel.series_of(both[0] - 1)
    sizes = rolling_sizes(actual, forecast, units[series], both[0], series, level, spec.recent)
    reach = sizes[len(plan.origins["val"]) :] * of_test[:, None]  # [M, H]
    there = np.isfinite(reach)
    return (
        np.where(there, forecasts["test"] - reach, low),
        np.where(there, forecasts["test"] + reach, high),
    )


def forecast_table(plan: Plan, columns: dict[str, np.ndarray]) -> pd.DataFrame:
    """Forecasts [M, H] of the test part as a long table: `unique_id`, `cutoff`, `ds`, `y` and the columns."""
    panel, origins, steps = plan.data.panel, plan.origins["test"], plan.horizon
    points = (origins[:, None] + np.arange(steps)).ravel()  # [M * H]
    times, ids = panel.all_times(), np.array(panel.ids, dtype=object)
    table = {
        "unique_id": np.repeat(ids[plan.series("test")], steps),
        "cutoff": np.repeat(times[origins - 1], steps),
        "ds": times[points],
        "y": plan.actual["test"].ravel(),
    }
    return pd.DataFrame(table | {name: values.ravel() for name, values in columns.items()})

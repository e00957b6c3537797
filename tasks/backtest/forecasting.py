"""Forecast from rolling origins over the test part, as a forecaster at each of them would have."""

import time
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from prefect import task
from prefect.cache_policies import NO_CACHE
from threadpoolctl import threadpool_limits

from models.baselines import fit_baseline
from models.data.windows import actual_values, origins_within
from models.forecaster import Forecaster, build_network
from models.intervals import Intervals, fixed_half_widths, rolling_half_widths
from models.metrics import Interval
from models.network import Network
from models.specs import IntervalSpec, ModelSpec, RefitSpec
from tasks.backtest.planning import BacktestPlan
from tasks.data.preparation import Dataset
from tasks.training import Training


@dataclass(frozen=True)
class RollingForecasts:
    """Forecasts [M, S] by part, the interval of the test part's, and the seconds that they took."""

    forecasts: dict[str, np.ndarray]
    interval: Interval | None
    seconds: float


@task(task_run_name="roll_baseline: {name}", cache_policy=NO_CACHE)
def forecast_with_baseline(name: str, plan: BacktestPlan) -> RollingForecasts:
    """The forecasts of a baseline, fitted on the training part where it has anything to fit."""
    began, data = time.perf_counter(), plan.data
    network = fit_baseline(name, data.panel, data.origins["train"], data.window.length, plan.horizon, data.season)
    with threadpool_limits(1, user_api="blas"):  # as its products are small, and threads would wait for each other
        forecasts = _forecasts(network, plan)
    return RollingForecasts(forecasts, None, time.perf_counter() - began)


@task(task_run_name="roll_model: {training.forecaster.spec.model}", cache_policy=NO_CACHE)
def forecast_with_model(
    training: Training, plan: BacktestPlan, refit: RefitSpec, intervals: IntervalSpec, device: str
) -> RollingForecasts:
    """The forecasts of a trained model, trained again on the way where `refit` says so, and their intervals."""
    began, forecaster = time.perf_counter(), training.forecaster
    if refit.every:
        forecasts = _forecasts(forecaster, plan, ["val"])
        forecasts["test"] = _refitted_forecasts(forecaster, plan, refit, device)
    else:
        forecasts = _forecasts(forecaster, plan)
    return RollingForecasts(forecasts, interval_of(forecasts, plan, intervals), time.perf_counter() - began)


def _forecasts(network: Network, plan: BacktestPlan, parts: list[str] | None = None) -> dict[str, np.ndarray]:
    """All origins of a part in one pass."""
    wanted = [part for part in parts or plan.origins if part in plan.origins]
    return {part: network.extend(plan.data.panel, plan.horizon, plan.origins[part]) for part in wanted}


def _refitted_forecasts(forecaster: Forecaster, plan: BacktestPlan, refit: RefitSpec, device: str) -> np.ndarray:
    """Forecasts [M, S] of the test part by networks that go on learning from all that was known at the time.

    Series are brought together by their times: none learns from what came later in another.
    """
    origins, panel = plan.origins["test"], plan.data.panel
    times, window = panel.all_times(), forecaster.spec.window
    moments, ranks = np.unique(times[origins], return_inverse=True)
    groups = ranks // refit.every  # [M], origins that share a training: of so many moments, over all series
    forecasts = np.empty((len(origins), plan.horizon))
    for group, now in enumerate(moments[:: refit.every]):
        known = [
            start + np.searchsorted(times[start:end], now) for start, end in zip(panel.starts, panel.ends, strict=True)
        ]
        train = origins_within(panel, panel.starts, np.array(known), window.length, window.horizon)
        forecaster = train_again(forecaster, plan.data, train, refit, device)
        rows = np.flatnonzero(groups == group)
        forecasts[rows] = forecaster.extend(panel, plan.horizon, origins[rows])
    return forecasts


def train_again(
    forecaster: Forecaster, data: Dataset, train: np.ndarray, refit: RefitSpec, device: str = "cpu"
) -> Forecaster:
    """The forecaster after some epochs more on the origins `train`; its scaling stays."""
    fit = forecaster.spec.fit
    changes = {"epochs": refit.epochs, "learning_rate": refit.learning_rate or fit.learning_rate, "patience": None}
    kinds = {name: getattr(forecaster.spec, name) for name in ("elman", "numpy_rnn")}
    spec: ModelSpec = forecaster.spec.model_copy(
        update={"fit": fit.model_copy(update=changes)}
        | {name: kind.model_copy(update={"epochs": refit.epochs}) for name, kind in kinds.items()}
    )
    old = forecaster.network
    network = build_network(spec, device, old.layout)
    network.load(old.state())
    scaled = forecaster.scaling.scale(data.panel, network.dtype)
    for _ in network.fit(scaled, train, None):
        pass
    return replace(forecaster, spec=spec, network=network)


def interval_of(forecasts: dict[str, np.ndarray], plan: BacktestPlan, spec: IntervalSpec) -> Interval | None:
    """Bounds [M, S] of the test part's forecasts, from the errors in validation, or the latest before each origin.

    None without a validation part, or where that is too short to tell any.
    """
    if "val" not in forecasts:
        return None
    units, level = plan.units(), spec.level
    of_val, of_test = units[plan.series("val")], units[plan.series("test")]  # [M]
    fixed = fixed_half_widths(plan.actual["val"], forecasts["val"], of_val, level)  # [S]
    low, high = Intervals(level, fixed).around(forecasts["test"], of_test)
    if spec.recent is None:
        return _bounds(low, high)
    panel, origins = plan.data.panel, np.concatenate([plan.origins["val"], plan.origins["test"]])
    actual = actual_values(panel, origins, plan.horizon, plan.data.parts.test)
    forecast, series = np.concatenate([forecasts["val"], forecasts["test"]]), panel.series_of(origins - 1)
    sizes = rolling_half_widths(actual, forecast, units[series], origins, series, level, spec.recent)
    reach = sizes[len(plan.origins["val"]) :] * of_test[:, None]  # [M, S]
    there = np.isfinite(reach)
    return _bounds(
        np.where(there, forecasts["test"] - reach, low),
        np.where(there, forecasts["test"] + reach, high),
    )


def _bounds(low: np.ndarray, high: np.ndarray) -> Interval | None:
    """Both, where there is any."""
    return None if np.isnan(low).all() else (low, high)


def forecast_table(plan: BacktestPlan, columns: dict[str, np.ndarray]) -> pd.DataFrame:
    """Forecasts [M, S] of the test part as a long table: `unique_id`, `cutoff`, `ds`, `y` and the columns."""
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

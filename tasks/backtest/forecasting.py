"""Forecast from rolling origins over the test part, each from what was known at the origin."""

from dataclasses import dataclass

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE
from threadpoolctl import threadpool_limits

from models.baselines import BASELINES, fit_baseline
from models.data.windows import actual_values, origins_within
from models.forecaster import Forecaster
from models.intervals import Intervals, fixed_half_widths, rolling_half_widths
from models.metrics import Interval
from models.network import Network
from models.specs import IntervalSpec, RefitSpec
from tasks.backtest.planning import BacktestPlan
from tasks.data.preparation import Dataset
from tasks.further_training import further_trained
from tasks.timing import timed
from tasks.training import Training


@dataclass(frozen=True)
class RollingForecasts:
    """Forecasts [M, S] by part, and the interval of those of the test part."""

    forecasts: dict[str, np.ndarray]
    interval: Interval | None


@task(task_run_name="forecast_with_baseline: {name}", cache_policy=NO_CACHE)
def forecast_with_baseline(name: str, plan: BacktestPlan) -> RollingForecasts:
    """Fit a baseline on the training part, if it has anything to fit, and forecast from all origins."""
    data = plan.data
    with timed("forecast", name):
        network = fit_baseline(name, data.panel, data.origins["train"], data.window.length, plan.horizon, data.season)
        with threadpool_limits(1, user_api="blas"):  # the products are small, and more threads would wait
            return RollingForecasts(_forecast_parts(network, plan), None)


def forecast_with_baselines(plan: BacktestPlan) -> dict[str, RollingForecasts]:
    """Forecast from all origins with every baseline."""
    return {name: forecast_with_baseline(name, plan) for name in BASELINES}


@task(task_run_name="forecast_with_model: {training.forecaster.spec.model}", cache_policy=NO_CACHE)
def forecast_with_model(
    training: Training, plan: BacktestPlan, refit: RefitSpec, intervals: IntervalSpec, device: str
) -> RollingForecasts:
    """Forecast from all origins with a trained model and compute intervals; `refit` may train it further on the way."""
    forecaster = training.forecaster
    with timed("forecast", forecaster.spec.model):
        forecasts = _forecast_parts(training.validated, plan, ["val"])
        if refit.every:
            forecasts["test"] = _forecast_with_refits(forecaster, plan, refit, device)
        else:
            forecasts |= _forecast_parts(forecaster, plan, ["test"])
        return RollingForecasts(forecasts, conformal_interval(forecasts, plan, intervals))


def _forecast_parts(network: Network, plan: BacktestPlan, parts: list[str] | None = None) -> dict[str, np.ndarray]:
    """Return forecasts [M, S] from all origins of each part, by default of every part of the plan."""
    names = [part for part in parts or plan.origins if part in plan.origins]
    return {part: network.extend(plan.data.panel, plan.horizon, plan.origins[part]) for part in names}


def _forecast_with_refits(forecaster: Forecaster, plan: BacktestPlan, refit: RefitSpec, device: str) -> np.ndarray:
    """Return forecasts [M, S] of the test part by a network that is trained further on what has become known.

    All series advance together in time, so that none learns from later values of another.
    """
    origins, panel = plan.origins["test"], plan.data.panel
    times, window = panel.all_times(), forecaster.spec.window
    cutoffs, ranks = np.unique(times[origins], return_inverse=True)
    groups = ranks // refit.every  # [M], the training that each origin uses: one for so many cutoffs of all series
    forecasts = np.empty((len(origins), plan.horizon))  # [M, S]
    for group, cutoff in enumerate(cutoffs[:: refit.every]):
        ends = [
            start + np.searchsorted(times[start:end], cutoff)
            for start, end in zip(panel.starts, panel.ends, strict=True)
        ]
        train = origins_within(panel, panel.starts, np.array(ends), window.length, window.horizon)
        forecaster = train_further(forecaster, plan.data, train, refit, device)
        rows = np.flatnonzero(groups == group)
        forecasts[rows] = forecaster.extend(panel, plan.horizon, origins[rows])
    return forecasts


def train_further(
    forecaster: Forecaster, data: Dataset, train: np.ndarray, refit: RefitSpec, device: str = "cpu"
) -> Forecaster:
    """Return a forecaster that has learned from the origins `train` for some more epochs; its scaling is the same."""
    spec, fit = forecaster.spec, forecaster.spec.fit
    changes = {"epochs": refit.epochs, "learning_rate": refit.learning_rate or fit.learning_rate, "patience": None}
    groups = {name: getattr(spec, name).model_copy(update={"epochs": refit.epochs}) for name in ("elman", "numpy_rnn")}
    further = spec.model_copy(update={"fit": fit.model_copy(update=changes), **groups})
    return further_trained(forecaster, data.panel, train, further, device)


def conformal_interval(forecasts: dict[str, np.ndarray], plan: BacktestPlan, spec: IntervalSpec) -> Interval | None:
    """Return the bounds [M, S] of the test part's forecasts, from the errors on the validation part.

    With `spec.recent`, they come from the latest errors known at each origin, if there are enough of these. The result
    is None without a validation part, or if it has too few errors for any step.
    """
    if "val" not in forecasts:
        return None
    scales, level = plan.interval_scales(), spec.level
    val_scales, test_scales = scales[plan.series("val")], scales[plan.series("test")]  # [M]
    fixed = fixed_half_widths(plan.actual["val"], forecasts["val"], val_scales, level)  # [S]
    low, high = Intervals(level, fixed).around(forecasts["test"], test_scales)
    if spec.recent is None:
        return _interval_or_none(low, high)
    panel, origins = plan.data.panel, np.concatenate([plan.origins["val"], plan.origins["test"]])
    actual = actual_values(panel, origins, plan.horizon, plan.data.split.test)
    forecast, series = np.concatenate([forecasts["val"], forecasts["test"]]), panel.series_of(origins - 1)
    rolling = rolling_half_widths(actual, forecast, scales[series], origins, series, level, spec.recent)
    half_widths = rolling[len(plan.origins["val"]) :] * test_scales[:, None]  # [M, S]
    enough = np.isfinite(half_widths)
    return _interval_or_none(
        np.where(enough, forecasts["test"] - half_widths, low),
        np.where(enough, forecasts["test"] + half_widths, high),
    )


def _interval_or_none(low: np.ndarray, high: np.ndarray) -> Interval | None:
    """Return the bounds, or None where no point has any."""
    return None if np.isnan(low).all() else (low, high)

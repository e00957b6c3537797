"""Recipes for public data sets reach their promised scores, measured as in the published results."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from flows.backtest import backtest
from flows.catalogue import change, recipe_parameters
from flows.parameters import options_of
from models.metrics import coverage
from tasks.backtest.forecasting import RollingForecasts, forecast_with_model
from tasks.backtest.planning import BacktestPlan, plan_backtest, with_test_points
from tasks.data.series import read_series
from tasks.data.settings import choose_settings
from tasks.training import Training, build_forecaster

DATA = os.environ.get("TIDECAST_DATA")
pytestmark = pytest.mark.skipif(
    DATA is None, reason="TIDECAST_DATA names no folder with ETTh1.csv, m4_hourly.parquet and dysts_test.parquet"
)


def path_of(name: str) -> Path:
    return Path(DATA or "", name)


def backtested(recipe: str, name: str, **fit: Any) -> tuple[BacktestPlan, RollingForecasts]:
    """Train a recipe's GRU and forecast with it as the flow does, but without a server."""
    changes = {"series": {"path": str(path_of(name))}, "models": ["gru"], "fit": fit}
    options: Any = options_of(backtest.fn).model_validate(change(recipe_parameters("backtest", recipe), changes))
    series, split = read_series.fn(options.series), with_test_points(options.split, options.test)
    names = ("models", "horizon", "season", "window", "recurrent", "fit")
    settings = choose_settings.fn(series, split=split, **{name: getattr(options, name) for name in names})
    assert settings.choices == []  # the recipe leaves nothing to the rules
    data = settings.prepare(series, "test")
    forecaster = build_forecaster(settings.spec("gru"), data)
    scaled = forecaster.scaling.scale(data.panel, forecaster.network.dtype)
    for _ in forecaster.network.fit(scaled, data.origins["train"], data.origins["val"]):
        pass
    plan = plan_backtest.fn(data, settings.horizon, options.stride)
    return plan, forecast_with_model.fn(Training(forecaster, {}, 0.0), plan, options.refit, options.intervals, "cpu")


def smapes(actual: np.ndarray, forecast: np.ndarray) -> np.ndarray:
    """Return the sMAPE of each row [M] in percent, as in the M4 competition."""
    return (200 * np.abs(actual - forecast) / (np.abs(actual) + np.abs(forecast))).mean(axis=1)


def test_96_hours_of_etth1_are_forecast_far_better_than_by_the_last_value_and_the_intervals_hold() -> None:
    plan, rolling = backtested("etth1", "ETTh1.csv", members=1)
    values = pd.read_csv(path_of("ETTh1.csv"))["OT"].to_numpy()
    actual, forecast = plan.actual["test"], rolling.forecasts["test"]
    assert plan.origins["test"].tolist() == [*range(11_520, 14_400 - 95)]
    np.testing.assert_array_equal(actual[-1], values[14_400 - 96 : 14_400])
    assert np.mean((forecast - actual) ** 2) / values[:8640].var() <= 0.060  # the last value has 0.069
    assert rolling.interval is not None
    assert 0.85 <= coverage(actual, *rolling.interval) <= 0.95


def test_m4_hourly_is_forecast_far_better_than_by_the_networks_of_the_competition() -> None:
    plan, rolling = backtested("m4-hourly", "m4_hourly.parquet", members=1, epochs=6)
    table = pd.read_parquet(path_of("m4_hourly.parquet")).sort_values(["unique_id", "ds"])
    series = {str(name): rows["y"].to_numpy() for name, rows in table.groupby("unique_id")}
    assert [plan.data.panel.ids[n] for n in plan.series("test")] == sorted(series)
    actual, forecast = np.stack([series[name][-48:] for name in sorted(series)]), rolling.forecasts["test"]
    scale = np.array([np.abs(series[name][24:-48] - series[name][:-72]).mean() for name in sorted(series)])
    smape, mase = smapes(actual, forecast).mean(), (np.abs(actual - forecast).mean(axis=1) / scale).mean()
    assert (smape / 18.383 + mase / 2.395) / 2 <= 0.60  # the OWA of those networks was 0.92 and 1.04


def test_a_small_network_for_each_chaotic_system_follows_it_as_well_as_a_published_lstm() -> None:
    plan, rolling = backtested("dysts", "dysts_test.parquet", members=1, epochs=100)
    assert len(plan.origins["test"]) == 66
    assert np.median(smapes(plan.actual["test"][:, :29], rolling.forecasts["test"][:, :29])) <= 75  # the LSTM has 73.6

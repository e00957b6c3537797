"""The recipes that bring no data reach what they promise on public data, in the protocols of the published results."""

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
from models.specs import ModelSpec
from tasks.backtest.forecasting import RollingForecasts, forecast_with_model
from tasks.backtest.planning import BacktestPlan, direct_window, plan_backtest, with_test_points
from tasks.data.preparation import prepare_data
from tasks.data.series import read_series
from tasks.training import Training, untrained

DATA = os.environ.get("TIDECAST_DATA")
pytestmark = pytest.mark.skipif(
    DATA is None, reason="TIDECAST_DATA names no folder with ETTh1.csv, m4_hourly.parquet and dysts_test.parquet"
)


def path_of(name: str) -> Path:
    return Path(DATA or "", name)


def backtested(recipe: str, name: str, **fit: Any) -> tuple[BacktestPlan, RollingForecasts]:
    """A recipe's GRU as the flow makes it and has it forecast, without a server."""
    changes = {"series": {"path": str(path_of(name))}, "models": ["gru"], "fit": fit}
    given: Any = options_of(backtest.fn).model_validate(change(recipe_parameters("backtest", recipe), changes))
    window, split = direct_window(given.window, given.horizon), with_test_points(given.split, given.test)
    data = prepare_data.fn(read_series.fn(given.series), window, split, given.season, "test")
    spec = ModelSpec(model="gru", window=window, season=data.season, recurrent=given.recurrent, fit=given.fit)
    forecaster = untrained(spec, data)
    scaled = forecaster.scaling.scale(data.panel, forecaster.network.dtype)
    for _ in forecaster.network.fit(scaled, data.origins["train"], data.origins["val"]):
        pass
    plan = plan_backtest.fn(data, given.horizon, given.stride)
    return plan, forecast_with_model.fn(Training(forecaster, {}, 0.0), plan, given.refit, given.intervals, "cpu")


def percents(actual: np.ndarray, forecast: np.ndarray) -> np.ndarray:
    """sMAPE of each row [M], in percent, as the M4 competition has it."""
    return (200 * np.abs(actual - forecast) / (np.abs(actual) + np.abs(forecast))).mean(axis=1)


def test_96_hours_of_etth1_are_forecast_far_better_than_by_the_last_value_and_the_intervals_hold() -> None:
    plan, rolled = backtested("etth1", "ETTh1.csv", members=1)
    values = pd.read_csv(path_of("ETTh1.csv"))["OT"].to_numpy()
    actual, forecast = plan.actual["test"], rolled.forecasts["test"]
    assert plan.origins["test"].tolist() == [*range(11_520, 14_400 - 95)]
    np.testing.assert_array_equal(actual[-1], values[14_400 - 96 : 14_400])
    assert np.mean((forecast - actual) ** 2) / values[:8640].var() <= 0.060  # of the last value 0.069
    assert rolled.interval is not None
    assert 0.85 <= coverage(actual, *rolled.interval) <= 0.95


def test_m4_hourly_is_forecast_far_better_than_by_the_networks_of_the_competition() -> None:
    plan, rolled = backtested("m4-hourly", "m4_hourly.parquet", members=1, epochs=6)
    table = pd.read_parquet(path_of("m4_hourly.parquet")).sort_values(["unique_id", "ds"])
    series = {str(name): own["y"].to_numpy() for name, own in table.groupby("unique_id")}
    assert [plan.data.panel.ids[n] for n in plan.series("test")] == sorted(series)
    actual, forecast = np.stack([series[name][-48:] for name in sorted(series)]), rolled.forecasts["test"]
    scale = np.array([np.abs(series[name][24:-48] - series[name][:-72]).mean() for name in sorted(series)])
    smape, mase = percents(actual, forecast).mean(), (np.abs(actual - forecast).mean(axis=1) / scale).mean()
    assert (smape / 18.383 + mase / 2.395) / 2 <= 0.60  # their OWA was 0.92 and 1.04


def test_a_small_network_for_each_chaotic_system_follows_it_as_well_as_a_published_lstm() -> None:
    plan, rolled = backtested("dysts", "dysts_test.parquet", members=1, epochs=100)
    assert len(plan.origins["test"]) == 66
    assert np.median(percents(plan.actual["test"][:, :29], rolled.forecasts["test"][:, :29])) <= 75  # of the LSTM 73.6

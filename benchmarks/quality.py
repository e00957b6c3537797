"""How good the recipes on real data are, beside the baselines: their figures, their intervals, and the seconds.

`TIDECAST_DATA=FOLDER python -m benchmarks.quality [--json FILE]`. Each recipe is run as `tidecast backtest` would, from
the catalogue's own parameters and through the tasks, without a server. Measures, all of the test part:

- ETTh1: mean squared error of the values z-scored by the first 8,640 rows (population deviation).
- M4 Hourly: OWA, the mean of sMAPE / 18.383 and MASE / 2.395, which are those of the competition's Naive2.
- dysts: the median over the systems of each one's sMAPE on the first 29 steps.

Intervals are of 90 %; `width` is the mean of each one's width in its series' usual seasonal change, by which MASE
divides. `chosen` is the model that the validation part chooses. `train s` is the training alone, `forecast s` all else
that a model takes: its forecasts of both parts, its intervals, and the trainings on the way where a recipe has them.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.measuring import options, report
from flows.backtest import backtest
from flows.catalogue import change, recipe_parameters
from flows.parameters import options_of
from models.baselines import BASELINES
from models.metrics import coverage, score_table, width
from models.specs import ModelSpec
from tasks.backtest.forecasting import RollingForecasts, forecast_with_baseline, forecast_with_model
from tasks.backtest.planning import BacktestPlan, direct_window, plan_backtest
from tasks.backtest.scoring import score_backtest
from tasks.data.preparation import Dataset, prepare_data
from tasks.data.series import read_series
from tasks.timing import timer
from tasks.training import Training, untrained

FOLDER = "TIDECAST_DATA"
NAIVE2 = {"smape": 18.383, "mase": 2.395}
SCORED = 29


def squared_error(plan: BacktestPlan, forecast: np.ndarray) -> float:
    """Mean squared error [1] of a forecast [M, S] in the deviation of each series' training part."""
    panel = plan.data.panel
    bounds = zip(panel.starts, plan.data.split.train, strict=True)
    deviations = np.array([panel.values[begin:end].std() for begin, end in bounds])  # [N]
    errors = (plan.actual["test"] - forecast) / deviations[plan.series("test"), None]
    return float(np.nanmean(errors**2))


def owa(plan: BacktestPlan, forecast: np.ndarray) -> float:
    """Overall weighted average of the M4 competition."""
    table = score_table(plan.actual["test"], {"it": forecast}, plan.series("test"), plan.mase_scales(), {}, 90)
    return sum(table.overall["it"][measure] / naive / 2 for measure, naive in NAIVE2.items())


def median_smape(plan: BacktestPlan, forecast: np.ndarray) -> float:
    """The median over the series of the sMAPE of the first 29 steps."""
    actual, steps = plan.actual["test"][:, :SCORED], forecast[:, :SCORED]
    table = score_table(actual, {"it": steps}, plan.series("test"), plan.mase_scales(), {}, 90)
    return float(table.by_series["smape"].median())


class Case(NamedTuple):
    """A recipe, the file that it is run on, its measure by name, and what is changed of the recipe."""

    recipe: str
    file: str
    measure: str
    changes: dict[str, Any]


MEASURES: dict[str, Callable[[BacktestPlan, np.ndarray], float]] = {
    "MSE": squared_error,
    "OWA": owa,
    "median sMAPE": median_smape,
}
CASES = [
    Case("etth1", "ETTh1.csv", "MSE", {}),
    Case("etth1", "ETTh1.csv", "MSE", {"horizon": 24}),
    Case("m4-hourly", "m4_hourly.parquet", "OWA", {}),
    Case("dysts", "dysts_test.parquet", "median sMAPE", {}),
]


def main() -> None:
    """Run every recipe and print the table, or say what is missing."""
    arguments = options(__doc__.splitlines()[0]).parse_args()
    folder = os.environ.get(FOLDER)
    if not folder:
        print(f"quality: {FOLDER} names no folder with the data, so nothing was measured")
        return
    missing = sorted({case.file for case in CASES if not (Path(folder) / case.file).is_file()})
    if missing:
        print(f"quality: {folder}, which {FOLDER} names, has no {', '.join(missing)}, so nothing was measured")
        return
    rows = [row for case in CASES for row in rows_of(case, Path(folder) / case.file)]
    report("quality", {"rows": rows}, arguments.json, device="cpu", precision="float32")


def parameters(recipe: str, changes: dict[str, Any]) -> Any:
    """The parameters that the flow would be given."""
    return options_of(backtest.fn).model_validate(change(recipe_parameters("backtest", recipe), changes))


def planned(given: Any) -> BacktestPlan:
    """The data in its parts, and what is to be forecast."""
    window = direct_window(given.window, given.horizon)
    data = prepare_data.fn(read_series.fn(given.series), window, given.split, given.season, "test")
    return plan_backtest.fn(data, given.horizon, given.stride)


def rows_of(case: Case, path: Path) -> list[dict[str, Any]]:
    """A line for each model and baseline of one recipe."""
    given = parameters(case.recipe, {**case.changes, "series": {"path": str(path)}})
    plan = planned(given)
    seconds = {}
    with timer() as timings:
        rolled = {name: forecast_with_baseline.fn(name, plan) for name in BASELINES}
        for name in given.models:
            training = trained(name, given, plan.data)
            rolled[name] = forecast_with_model.fn(training, plan, given.refit, given.intervals, "cpu")
            seconds[name] = training.seconds
    chosen = score_backtest.fn(plan, rolled, given.intervals.level).chosen
    return [
        {
            "recipe": case.recipe,
            "steps": plan.horizon,
            "model": name,
            "measure": case.measure,
            "figure": MEASURES[case.measure](plan, rolled[name].forecasts["test"]),
            "chosen": "yes" if name == chosen else "",
            **intervals_of(plan, rolled[name]),
            "train s": seconds.get(name, ""),
            "forecast s": timings.seconds("forecast", name),
        }
        for name in (*given.models, *BASELINES)
    ]


def trained(name: str, given: Any, data: Dataset) -> Training:
    """One model, trained as the flow does, but for what is recorded."""
    kinds = {kind: getattr(given, kind) for kind in ("recurrent", "fit", "elman", "numpy_rnn", "seed")}
    forecaster = untrained(ModelSpec(model=name, window=data.window, season=data.season, **kinds), data)
    scaled, began = forecaster.scaling.scale(data.panel, forecaster.network.dtype), time.perf_counter()
    for _ in forecaster.network.fit(scaled, data.origins["train"], data.origins.get("val")):
        pass
    return Training(forecaster, {}, time.perf_counter() - began)


def intervals_of(plan: BacktestPlan, rolled: RollingForecasts) -> dict[str, Any]:
    """Share of the values that the intervals hold, and their mean width; empty where there are none."""
    if rolled.interval is None:
        return {"coverage": "", "width": ""}
    low, high = rolled.interval
    unit = plan.mase_scales()[plan.series("test"), None]  # [M, 1]
    return {"coverage": coverage(plan.actual["test"], low, high), "width": width(low / unit, high / unit)}


if __name__ == "__main__":
    main()

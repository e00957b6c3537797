"""Quality of the recipes on real data, beside the baselines: their scores, their intervals, and their seconds.

`TIDECAST_DATA=FOLDER python -m benchmarks.quality [--json FILE]`. Each recipe is run as by `tidecast backtest`, with
the parameters of the catalogue and through the tasks, but without a server. Measures, all of the test part:

- ETTh1: mean squared error of the values z-scored by the first 8,640 rows (population deviation).
- M4 Hourly: OWA, the mean of sMAPE / 18.383 and MASE / 2.395, which are those of the competition's Naive2.
- dysts: the median over the systems of their sMAPE on the first 29 steps.

Intervals are 90 % intervals. `width` is their mean width, divided by the scale of MASE of each series, its mean
absolute change over one season. `chosen` is the model that the validation part chooses. `train s` is the training
alone. `forecast s` is the rest: the forecasts of both parts, the intervals, and the later trainings of a backtest, if
a recipe has them.
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
from models.specs import COMBINED, ModelSpec
from tasks.backtest.forecasting import RollingForecasts, forecast_with_baseline, forecast_with_model
from tasks.backtest.planning import BacktestPlan, plan_backtest, with_test_points
from tasks.backtest.scoring import score_backtest
from tasks.combination import combine_models, with_combined
from tasks.data.preparation import Dataset
from tasks.data.series import read_series
from tasks.data.settings import RunSettings, choose_settings
from tasks.further_training import learn_validation_part
from tasks.timing import timer
from tasks.training import Training, build_forecaster, learns_validation_part

FOLDER = "TIDECAST_DATA"
NAIVE2 = {"smape": 18.383, "mase": 2.395}
"""The scores of Naive2, the benchmark of the M4 competition."""
SCORED_STEPS = 29


def squared_error(plan: BacktestPlan, forecast: np.ndarray) -> float:
    """Return the mean squared error of a forecast [M, S], in units of the deviation of each series' training part."""
    panel = plan.data.panel
    bounds = zip(panel.starts, plan.data.split.train, strict=True)
    deviations = np.array([panel.values[begin:end].std() for begin, end in bounds])  # [N]
    errors = (plan.actual["test"] - forecast) / deviations[plan.series("test"), None]
    return float(np.nanmean(errors**2))


def owa(plan: BacktestPlan, forecast: np.ndarray) -> float:
    """Return the overall weighted average of the M4 competition."""
    table = score_table(plan.actual["test"], {"model": forecast}, plan.series("test"), plan.mase_scales, {}, 90)
    return sum(table.overall["model"][measure] / naive / 2 for measure, naive in NAIVE2.items())


def median_smape(plan: BacktestPlan, forecast: np.ndarray) -> float:
    """Return the median over the series of the sMAPE of the first 29 steps."""
    actual, predicted = plan.actual["test"][:, :SCORED_STEPS], forecast[:, :SCORED_STEPS]
    table = score_table(actual, {"model": predicted}, plan.series("test"), plan.mase_scales, {}, 90)
    return float(table.by_series["smape"].median())


class Case(NamedTuple):
    """A recipe, the file of its series, the name of its measure, and changes to the recipe."""

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
    """Run every recipe and print the table, or print what is missing."""
    arguments = options(__doc__.splitlines()[0]).parse_args()
    folder = os.environ.get(FOLDER)
    if not folder:
        print(f"quality: {FOLDER} names no folder with the data, so nothing was measured")
        return
    missing = sorted({case.file for case in CASES if not (Path(folder) / case.file).is_file()})
    if missing:
        print(f"quality: {folder}, which {FOLDER} names, has no {', '.join(missing)}, so nothing was measured")
        return
    rows = [row for case in CASES for row in measure_case(case, Path(folder) / case.file)]
    report("quality", {"rows": rows}, arguments.json, device="cpu", precision="float32")


def flow_parameters(recipe: str, changes: dict[str, Any]) -> Any:
    """Return the parameters of the flow for a recipe with changes."""
    return options_of(backtest.fn).model_validate(change(recipe_parameters("backtest", recipe), changes))


def make_plan(parameters: Any) -> tuple[RunSettings, BacktestPlan]:
    """Choose the settings, prepare the data set, and plan which origins are forecast."""
    series, split = read_series.fn(parameters.series), with_test_points(parameters.split, parameters.test)
    names = ("models", "horizon", "season", "window", "recurrent", "fit")
    settings = choose_settings.fn(series, split=split, **{name: getattr(parameters, name) for name in names})
    return settings, plan_backtest.fn(settings.prepare(series, "test"), settings.horizon, parameters.stride)


def measure_case(case: Case, path: Path) -> list[dict[str, Any]]:
    """Return a row for each model and baseline of one recipe."""
    parameters = flow_parameters(case.recipe, {**case.changes, "series": {"path": str(path)}})
    settings, plan = make_plan(parameters)
    names, trainings, seconds = with_combined(parameters.models), dict[str, Training](), {}
    with timer() as timings:
        forecasts = {name: forecast_with_baseline.fn(name, plan) for name in BASELINES}
        for name in names:
            if name == COMBINED:
                training = combine_models.fn(list(trainings.values()), plan, None)
            else:
                training = train_model(settings.spec(name, seed=parameters.seed), plan.data)
            trainings[name] = training
            forecasts[name] = forecast_with_model.fn(training, plan, parameters.refit, parameters.intervals, "cpu")
            seconds[name] = training.seconds
    chosen = score_backtest.fn(plan, forecasts, parameters.intervals.level).chosen
    return [
        {
            "recipe": case.recipe,
            "steps": plan.horizon,
            "model": name,
            "measure": case.measure,
            "figure": MEASURES[case.measure](plan, forecasts[name].forecasts["test"]),
            "chosen": "yes" if name == chosen else "",
            **score_intervals(plan, forecasts[name]),
            "train s": seconds.get(name, ""),
            "forecast s": timings.seconds("forecast", name),
        }
        for name in (*names, *BASELINES)
    ]


def train_model(spec: ModelSpec, data: Dataset) -> Training:
    """Train one model as the flow does, without recording it."""
    forecaster = build_forecaster(spec, data)
    scaled, began = forecaster.scaling.scale(data.panel, forecaster.network.dtype), time.perf_counter()
    for _ in forecaster.network.fit(scaled, data.origins["train"], data.origins.get("val")):
        pass
    final = learn_validation_part(forecaster, data, "cpu") if learns_validation_part(spec, data) else forecaster
    return Training(final, {}, time.perf_counter() - began, before_validation=forecaster)


def score_intervals(plan: BacktestPlan, rolled: RollingForecasts) -> dict[str, Any]:
    """Return the share of the actual values inside the intervals, and their mean width; empty without intervals."""
    if rolled.interval is None:
        return {"coverage": "", "width": ""}
    low, high = rolled.interval
    scale = plan.mase_scales[plan.series("test"), None]  # [M, 1]
    return {"coverage": coverage(plan.actual["test"], low, high), "width": width(low / scale, high / scale)}


if __name__ == "__main__":
    main()

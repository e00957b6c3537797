"""Score a forecaster on every part of the data, and in a free run on its own forecasts."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from prefect import task
from prefect.cache_policies import NO_CACHE

from models.baselines import BASELINES, fit_baseline
from models.data.windows import actual_values, last_known_step
from models.metrics import rmse, score_table
from models.network import Network
from tasks.backtest.planning import BacktestPlan
from tasks.backtest.tables import long_table
from tasks.data.preparation import Dataset
from tasks.training import Training

PARTS = ("val", "test")
"""The parts after the training part, in order of time."""
FREE_RUN_STEPS = (100, 1000)
LARGEST_TABLE = 5_000_000
"""Most rows of a table of predictions; beyond it the training part is left out."""


@dataclass(frozen=True)
class Evaluation:
    """A forecaster's scores by name, its forecasts [M, S] and their `origins` [M] by part, and its free run [N, steps].

    `actual` [N, steps] holds the actual values beside the free run; NaN where unknown.
    """

    scores: dict[str, float]
    forecasts: dict[str, np.ndarray]
    origins: dict[str, np.ndarray]
    free_run: np.ndarray
    actual: np.ndarray


@dataclass(frozen=True)
class ModelResult:
    """One model of a run: the id of its MLflow run, its training and its scores."""

    run_id: str
    training: Training
    evaluation: Evaluation


def scores_of(results: Mapping[str, "ModelResult | Evaluation"]) -> dict[str, dict[str, float]]:
    """Return the scores of models or baselines by name and metric."""
    return {
        name: (result.evaluation if isinstance(result, ModelResult) else result).scores
        for name, result in results.items()
    }


@task(task_run_name="evaluate: {name}", cache_policy=NO_CACHE)
def evaluate(name: str, network: Network, plan: BacktestPlan, validated: Network | None = None) -> Evaluation:
    """Score a network in the units of the series: over its head's steps in training, over the whole horizon after it.

    **Arguments:** `name`, shown in Prefect; `validated`, the network before it learned from the validation part, if it
    has.
    """
    data, panel, horizon = plan.data, plan.data.panel, plan.data.window.horizon
    origins = {"train": data.origins["train"]} | {part: plan.origins[part] for part in PARTS if part in plan.origins}
    forecasts = {"train": network.extend(panel, horizon, origins["train"])}
    for part in list(origins)[1:]:
        scored = validated if validated and part == "val" else network
        forecasts[part] = scored.extend(panel, plan.horizon, origins[part])
    scores = {"train_rmse": rmse(actual_values(panel, origins["train"], horizon), forecasts["train"])}
    scores |= score_parts(name, forecasts, plan)
    actual = data.series.actual_values_from(data.free_run, FREE_RUN_STEPS[-1])  # [N, 1000]
    steps = last_known_step(actual)
    if data.panel.covariates is not None:  # covariates end with the shortest series
        steps = min(steps, int((data.panel.ends - data.free_run).min()))
    path = network.extend(data.panel, steps, data.free_run)  # [N, steps]
    actual = actual[:, :steps]  # [N, steps]
    scores |= {f"free_run_rmse_{length}": score for length, score in free_run_scores(actual, path).items()}
    return Evaluation(scores, forecasts, origins, path, actual)


def score_parts(name: str, forecasts: Mapping[str, np.ndarray], plan: BacktestPlan) -> dict[str, float]:
    """Return RMSE and MASE on validation and test part, from the origins whose whole horizon lies in the part."""
    scores: dict[str, float] = {}
    for part in PARTS:
        if part in plan.origins:
            rows = plan.whole(part)
            actual, forecast = plan.actual[part][rows], forecasts[part][rows]
            table = score_table(actual, {name: forecast}, plan.series(part)[rows], plan.mase_scales, {}, 0)
            scores |= {f"{part}_rmse": rmse(actual, forecast), f"{part}_mase": table.overall[name]["mase"]}
    return scores


def free_run_scores(actual: np.ndarray, path: np.ndarray) -> dict[int, float]:
    """Return the RMSE of free runs `path` [N, steps] over their first 100 and first 1,000 steps.

    `actual` [N, steps] is NaN where unknown. Gaps are skipped; a series whose values end before the last of these steps
    is left out.
    """
    is_known, scores = np.isfinite(actual), dict[int, float]()
    for steps in FREE_RUN_STEPS:
        long_enough = is_known[:, steps - 1 :].any(axis=1)  # [N]
        if long_enough.any():
            counted = is_known[long_enough, :steps]
            scores[steps] = rmse(actual[long_enough, :steps][counted], path[long_enough, :steps][counted])
    return scores


@task(task_run_name="evaluate_baselines", cache_policy=NO_CACHE)
def evaluate_baselines(plan: BacktestPlan) -> dict[str, Evaluation]:
    """Fit every baseline on the training part, and score it on the same windows as the models."""
    data, evaluations = plan.data, {}
    for name in BASELINES:
        train, length = data.origins["train"], data.window.length
        network = fit_baseline(name, data.panel, train, length, plan.horizon, data.season)
        evaluations[name] = evaluate.fn(name, network, plan)
    return evaluations


def prediction_table(model: str, evaluation: Evaluation, data: Dataset) -> pd.DataFrame:
    """Return the forecasts in long format: `part`, `unique_id`, `cutoff`, `ds`, `y` and a column for the model."""
    panel, parts = data.panel, dict(evaluation.forecasts)
    if sum(forecasts.size for forecasts in parts.values()) > LARGEST_TABLE:
        del parts["train"]
    tables, split = [], data.split
    for part, forecasts in parts.items():
        ends = {"train": split.train, "val": split.validation, "test": split.test}[part]
        table = long_table(panel, evaluation.origins[part], forecasts.shape[1], ends, {model: forecasts})
        tables.append(table.assign(part=part))
    columns = ["part", "unique_id", "cutoff", "ds", "y", model]
    return pd.concat(tables, ignore_index=True)[columns]

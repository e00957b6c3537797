"""Score a forecaster on every part of the data, and in a free run on its own forecasts."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from prefect import task
from prefect.cache_policies import NO_CACHE

from models.baselines import BASELINES, fit_baseline
from models.data.windows import actual_values, last_known_step, target_windows
from models.metrics import rmse
from models.network import Network
from tasks.data.preparation import Dataset
from tasks.training import Training

FREE_RUN_STEPS = (100, 1000)
LARGEST_TABLE = 5_000_000
"""Most rows of a table of predictions; beyond it the training part is left out."""


@dataclass(frozen=True)
class Evaluation:
    """A forecaster's scores by name, its forecasts [M, S] by part, and its free run [N, steps].

    `actual` [N, steps] holds the actual values beside the free run; NaN where unknown.
    """

    scores: dict[str, float]
    forecasts: dict[str, np.ndarray]
    free_run: np.ndarray
    actual: np.ndarray


@dataclass(frozen=True)
class ModelResult:
    """One model of a run: the id of its MLflow run, its training and its scores."""

    run_id: str
    training: Training
    evaluation: Evaluation


@task(task_run_name="evaluate: {name}", cache_policy=NO_CACHE)
def evaluate(name: str, network: Network, data: Dataset) -> Evaluation:  # noqa: ARG001
    """Score a network in the units of the series; `name` is shown in Prefect only."""
    horizon = data.window.horizon
    forecasts = {part: network.predict(data.panel, origins) for part, origins in data.origins.items()}
    scores = {
        f"{part}_rmse": rmse(actual_values(data.panel, data.origins[part], horizon), forecast)
        for part, forecast in forecasts.items()
    }
    actual = data.series.actual_values_from(data.free_run, FREE_RUN_STEPS[-1])  # [N, 1000]
    steps = last_known_step(actual)
    if data.panel.covariates is not None:  # covariates end with the shortest series
        steps = min(steps, int((data.panel.ends - data.free_run).min()))
    path = network.extend(data.panel, steps, data.free_run)  # [N, steps]
    actual = actual[:, :steps]  # [N, steps]
    scores |= {f"free_run_rmse_{length}": score for length, score in free_run_scores(actual, path).items()}
    return Evaluation(scores, forecasts, path, actual)


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
def evaluate_baselines(data: Dataset) -> dict[str, Evaluation]:
    """Fit every baseline on the training part, and score it on the same windows as the models."""
    window, evaluations = data.window, {}
    for name in BASELINES:
        network = fit_baseline(name, data.panel, data.origins["train"], window.length, window.horizon, data.season)
        evaluations[name] = evaluate.fn(name, network, data)
    return evaluations


def prediction_table(model: str, evaluation: Evaluation, data: Dataset) -> pd.DataFrame:
    """Return the forecasts in long format: `part`, `unique_id`, `cutoff`, `ds`, `y` and a column for the model."""
    horizon = data.window.horizon
    parts = list(data.origins)
    if sum(len(data.origins[part]) for part in parts) * horizon > LARGEST_TABLE:
        parts.remove("train")
    times = data.panel.all_times()  # [P]
    ids = np.array(data.panel.ids, dtype=object)
    tables = []
    for part in parts:
        origins = data.origins[part]
        columns = {
            "part": part,
            "unique_id": np.repeat(ids[data.panel.series_of(origins - 1)], horizon),
            "cutoff": np.repeat(times[origins - 1], horizon),
            "ds": target_windows(times, origins, horizon).ravel(),
            "y": actual_values(data.panel, origins, horizon).ravel(),
            model: evaluation.forecasts[part].ravel(),
        }
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)

"""Score a forecaster on every part, and let it run free."""

from collections.abc import Mapping
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
    """What a forecaster came to: scores by name, forecasts [M, S] by part, and its free run [N, steps]."""

    scores: dict[str, float]
    forecasts: dict[str, np.ndarray]
    free_run: np.ndarray
    truth: np.ndarray


@dataclass(frozen=True)
class ModelResult:
    """One model of a run: where it is recorded, how it was trained, what it scored."""

    run_id: str
    training: Training
    evaluation: Evaluation


@task(task_run_name="evaluate: {name}", cache_policy=NO_CACHE)
def evaluate(name: str, network: Network, data: Dataset) -> Evaluation:  # noqa: ARG001
    """Scores in the series' own units, under the names that MLflow and the reports use; `name` names the task run."""
    horizon = data.window.horizon
    forecasts = {part: network.predict(data.panel, origins) for part, origins in data.origins.items()}
    scores = {
        f"{part}_rmse": rmse(actual_values(data.panel, data.origins[part], horizon), forecast)
        for part, forecast in forecasts.items()
    }
    truth = data.series.truth(data.free_run, FREE_RUN_STEPS[-1])  # [N, 1000]
    known = last_known_step(truth)
    if data.panel.covariates is not None:  # which are known no further than the shortest series goes
        known = min(known, int((data.panel.ends - data.free_run).min()))
    path = network.extend(data.panel, known, data.free_run)  # [N, known]
    scores |= {f"free_run_rmse_{steps}": score for steps, score in free_run_scores(truth[:, :known], path).items()}
    return Evaluation(scores, forecasts, path, truth[:, :known])


def free_run_scores(truth: np.ndarray, path: np.ndarray) -> dict[int, float]:
    """RMSE of free runs `path` [N, steps] by their first 100 and 1,000 steps, over the series known for so long.

    `truth` [N, steps] is NaN where unknown; a gap on the way is passed over.
    """
    there, scores = np.isfinite(truth), dict[int, float]()
    for steps in FREE_RUN_STEPS:
        long = there[:, steps - 1 :].any(axis=1)  # [N]
        if long.any():
            counted = there[long, :steps]
            scores[steps] = rmse(truth[long, :steps][counted], path[long, :steps][counted])
    return scores


@task(task_run_name="evaluate_baselines", cache_policy=NO_CACHE)
def evaluate_baselines(data: Dataset) -> dict[str, Evaluation]:
    """Every naive baseline, fitted on the training part and scored on the same windows as the models."""
    window, found = data.window, {}
    for name in BASELINES:
        network = fit_baseline(name, data.panel, data.origins["train"], window.length, window.horizon, data.season)
        found[name] = evaluate.fn(name, network, data)
    return found


def choose_model(scores: dict[str, dict[str, float]]) -> str:
    """The model with the lowest validation RMSE, or training RMSE where there is no validation part."""
    found = {name: own[selection_metric(own)] for name, own in scores.items()}
    return min(found, key=lambda name: found[name] if np.isfinite(found[name]) else np.inf)


def selection_metric(scores: dict[str, float]) -> str:
    """The score by which models of such scores are compared."""
    return "val_rmse" if "val_rmse" in scores else "train_rmse"


def comparison_metric(scores: Mapping[str, float]) -> str:
    """The score by which a model is held against the baselines: that of the latest part there is."""
    return "test_rmse" if "test_rmse" in scores else selection_metric(dict(scores))


def beaten(scores: Mapping[str, float], baselines: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The baselines that do worse than a model, by RMSE on the latest part."""
    measure = comparison_metric(scores)
    return [name for name, own in baselines.items() if scores[measure] < own.get(measure, -np.inf)]


def describe_beaten(scores: Mapping[str, float], baselines: Mapping[str, Mapping[str, float]]) -> str:
    """The same for a tag."""
    return ", ".join(beaten(scores, baselines)) or "no baseline"


def prediction_table(model: str, evaluation: Evaluation, data: Dataset) -> pd.DataFrame:
    """Forecasts in long format: `part`, `unique_id`, `cutoff`, `ds`, `y` and the model's column."""
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

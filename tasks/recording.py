"""What is kept of a run: settings, scores, plots, tables and models, and the summary of it all."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from models.metrics import skill
from tasks import plots
from tasks.evaluation import Evaluation, prediction_table
from tasks.preparation import Dataset
from tasks.tracking.files import log_files, log_json
from tasks.tracking.forecasters import log_model
from tasks.tracking.runs import git_commit, log_dataset, log_params, log_scores, log_tags
from tasks.training import Training

log = logging.getLogger("tidecast")


@dataclass(frozen=True)
class Outcome:
    """One model of a run: where it is recorded, how it was trained, what it scored."""

    run_id: str
    training: Training
    evaluation: Evaluation


def run_tags(recipe: str, data: Dataset, device: str) -> dict[str, str]:
    """What every MLflow run of a flow run says of its origin."""
    tags = {
        "recipe": recipe,
        "data.sha256": data.series.sha256,
        "device": device,
        "mlflow.source.git.commit": git_commit(),
        "prefect.flow_run_id": flow_run.id,
        "prefect.flow_run_name": flow_run.name,
        "prefect.flow_run_url": flow_run.ui_url,
    }
    return {name: str(value) for name, value in tags.items() if value}


@task(cache_policy=NO_CACHE)
def record_data(run_id: str, data: Dataset, settings: Mapping[str, Any]) -> float:
    """Record what a run starts from; returns the seconds that this took."""
    began = time.perf_counter()
    log_params(run_id, settings)
    spec = settings["series"]
    log_dataset(
        run_id, data.series, spec.path or f"{spec.wave} of {spec.points} points from {spec.start:g} to {spec.stop:g}"
    )
    for note in data.series.notes:
        log.info("%s: %s", data.series.name, note)
    if data.series.notes:
        log_tags(run_id, {"data.notes": "; ".join(data.series.notes)})
    return time.perf_counter() - began


@task(task_run_name="record_model: {training.forecaster.spec.model}", cache_policy=NO_CACHE)
def record_model(
    run_id: str, training: Training, evaluation: Evaluation, data: Dataset, figures: dict[str, Figure]
) -> float:
    """Record one trained model with its scores, plots, predictions and weights; returns the seconds that this took."""
    began = time.perf_counter()
    spec = training.forecaster.spec
    log_params(run_id, spec.model_dump(mode="json"))
    log_scores(run_id, {**evaluation.scores, "seconds": training.seconds})
    log_files(run_id, "plots", figures)
    log_files(run_id, "predictions", {}, {spec.model: prediction_table(spec.model, evaluation, data)})
    log_json(run_id, "spec.json", spec.model_dump(mode="json"))
    log_model(run_id, training.forecaster, data.series)
    return time.perf_counter() - began


@task(cache_policy=NO_CACHE)
def record_comparison(
    run_id: str, outcomes: dict[str, Outcome], baselines: dict[str, Evaluation], chosen: str
) -> float:
    """Record how the models and the baselines compare; returns the seconds that this took."""
    began = time.perf_counter()
    best = outcomes[chosen].evaluation.scores
    scores = dict(best)
    for name, baseline in baselines.items():
        for measure, value in baseline.scores.items():
            scores[f"baseline_{name}_{measure}"] = value
            if measure in best and value > 0:
                scores[f"skill_{name}_{measure}"] = skill(best[measure], value)
    log_scores(run_id, scores)
    log_tags(run_id, {"chosen": chosen})
    table = {name: outcome.evaluation.scores for name, outcome in outcomes.items()}
    table |= {name: baseline.scores for name, baseline in baselines.items()}
    figure = plots.comparison(table, list(outcomes), list(baselines), chosen)
    log_files(run_id, "plots", {"comparison": figure})
    log_json(run_id, "comparison.json", table)
    return time.perf_counter() - began


def summarize(
    recipe: str,
    experiment: str,
    parent: str,
    chosen: str,
    outcomes: dict[str, Outcome],
    baselines: dict[str, Evaluation],
    seconds: dict[str, float],
) -> dict[str, Any]:
    """The run in one JSON document."""
    return {
        "recipe": recipe,
        "experiment": experiment,
        "parent_run_id": parent,
        "chosen": chosen,
        "models": {
            name: {"run_id": outcome.run_id, "seconds": outcome.training.seconds, "metrics": outcome.evaluation.scores}
            for name, outcome in outcomes.items()
        },
        "baselines": {name: baseline.scores for name, baseline in baselines.items()},
        "seconds": {"train": sum(outcome.training.seconds for outcome in outcomes.values()), **seconds},
    }

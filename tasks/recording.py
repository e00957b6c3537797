"""What is kept of a run: settings, scores, plots, tables and models, and the summary of it all."""

import logging
import time
from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run
from prefect.settings import PREFECT_UI_URL

from models.metrics import skill
from tasks import plots
from tasks.data.preparation import Dataset
from tasks.data.series import Series
from tasks.devices import device_tags
from tasks.evaluation import Evaluation, ModelResult, describe_beaten, prediction_table
from tasks.gate import Verdict
from tasks.report import comparison_rows, markdown_table
from tasks.run_page import show_table
from tasks.tracking.entries import git_commit, log_dataset, log_note, log_params, log_scores, log_tags
from tasks.tracking.files import log_files, log_json
from tasks.tracking.forecasters import log_model
from tasks.training import Training

log = logging.getLogger("tidecast")


def run_tags(series: Series, device: str, **more: str) -> dict[str, str]:
    """What every MLflow run of a flow run says of its origin."""
    tags = {
        **more,
        **device_tags(device),
        "data.sha256": series.sha256,
        "mlflow.source.name": f"tidecast {flow_run.flow_name}" if flow_run.flow_name else "tidecast",
        "mlflow.source.git.commit": git_commit(),
        "prefect.flow_run_id": flow_run.id,
        "prefect.flow_run_name": flow_run.name,
        "prefect.flow_run_url": flow_run.ui_url if PREFECT_UI_URL.value() else "",  # of a server that stays
    }
    return {name: str(value) for name, value in tags.items() if value}


@task(task_run_name="record_data", cache_policy=NO_CACHE)
def record_data(run_id: str, data: Dataset, settings: Mapping[str, Any]) -> float:
    """Record what a run starts from; returns the seconds that this took."""
    began = time.perf_counter()
    log_params(run_id, settings)
    log_dataset(run_id, data.series)
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
    if training.divergence:
        log_tags(run_id, {"diverged": training.divergence})
    log_files(run_id, "plots", figures)
    log_files(run_id, "predictions", {}, {spec.model: prediction_table(spec.model, evaluation, data)})
    log_json(run_id, "spec.json", spec.model_dump(mode="json"))
    log_model(run_id, training.forecaster, data.series)
    return time.perf_counter() - began


@task(task_run_name="record_comparison", cache_policy=NO_CACHE)
def record_comparison(
    run_id: str, results: dict[str, ModelResult], baselines: dict[str, Evaluation], chosen: str, verdict: Verdict
) -> float:
    """Record how models and baselines compare, and what the gate decided; returns the seconds that this took."""
    began = time.perf_counter()
    best = results[chosen].evaluation.scores
    scores = dict(best) | {f"gate/{name}_test_rmse": score for name, score in verdict.scores.items()}
    for name, baseline in baselines.items():
        for measure, value in baseline.scores.items():
            scores[f"baseline_{name}_{measure}"] = value
            if measure in best and value > 0:
                scores[f"skill_{name}_{measure}"] = skill(best[measure], value)
    log_scores(run_id, scores)
    of_baselines = {name: baseline.scores for name, baseline in baselines.items()}
    table = {name: result.evaluation.scores for name, result in results.items()}
    table |= of_baselines
    rows = comparison_rows(table, chosen)
    for result in results.values():
        log_tags(result.run_id, {"beats": describe_beaten(result.evaluation.scores, of_baselines)})
    log_tags(run_id, {"chosen": chosen, "beats": describe_beaten(best, of_baselines), **verdict.tags()})
    log_note(run_id, f"{verdict}\n\n{markdown_table(rows)}\n\nRMSE in the series' own units; * is the chosen model.")
    figure = plots.comparison(table, list(results), list(baselines), chosen)
    log_files(run_id, "plots", {"comparison": figure})
    log_json(run_id, "comparison.json", table)
    log_json(run_id, "gate.json", {**verdict.tags(), "test_rmse": verdict.scores})
    show_table("comparison", rows, f"{verdict} RMSE in the series' own units; * is the chosen model.")
    return time.perf_counter() - began


def summarize(
    recipe: str,
    experiment: str,
    parent: str,
    chosen: str,
    results: dict[str, ModelResult],
    baselines: dict[str, Evaluation],
    verdict: Verdict,
    seconds: dict[str, float],
) -> dict[str, Any]:
    """The run in one JSON document."""
    return {
        "recipe": recipe,
        "experiment": experiment,
        "parent_run_id": parent,
        "chosen": chosen,
        "models": {
            name: {"run_id": result.run_id, "seconds": result.training.seconds, "metrics": result.evaluation.scores}
            for name, result in results.items()
        },
        "baselines": {name: baseline.scores for name, baseline in baselines.items()},
        "registered": {
            "name": verdict.challenger.name,
            "version": verdict.challenger.number,
            "champion": verdict.promoted,
            "reason": verdict.reason,
        },
        "seconds": {"train": sum(result.training.seconds for result in results.values()), **seconds},
    }

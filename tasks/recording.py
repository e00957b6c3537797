"""Record a training in MLflow: settings, scores, plots, tables and models; and summarize it."""

import logging
from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks import plots
from tasks.comparison import Choice, baseline_metrics, beaten_tag, describe_better, skill_metrics
from tasks.data.preparation import Dataset
from tasks.data.settings import RunSettings
from tasks.evaluation import Evaluation, ModelResult, prediction_table, scores_of
from tasks.gate import Verdict
from tasks.run_page import link_run, show_table
from tasks.score_tables import markdown_table, score_rows, training_columns
from tasks.timing import Timer, timed
from tasks.tracking.entries import log_dataset, log_note, log_params, log_scores, log_tags
from tasks.tracking.files import log_files, log_json
from tasks.tracking.forecasters import log_model
from tasks.training import Training

log = logging.getLogger("tidecast")


@task(task_run_name="record_data", cache_policy=NO_CACHE)
@timed("record")
def record_data(run_id: str, data: Dataset, parameters: Mapping[str, Any], settings: RunSettings) -> None:
    """Record the parameters and the data of a run, and log what the rules chose and what was changed on reading.

    The run is linked on the page of the flow run in Prefect.
    """
    link_run(run_id)
    log_params(run_id, {**parameters, **settings.as_parameters()})
    log_params(run_id, settings.explained())
    for choice in settings.choices:
        log.info("auto: %s", choice)
    log_dataset(run_id, data.series)
    for note in data.series.notes:
        log.info("%s: %s", data.series.name, note)
    if data.series.notes:
        log_tags(run_id, {"data.notes": "; ".join(data.series.notes)})


@task(task_run_name="record_model: {training.forecaster.spec.model}", cache_policy=NO_CACHE)
@timed("record")
def record_model(
    run_id: str, training: Training, evaluation: Evaluation, data: Dataset, figures: dict[str, Figure]
) -> None:
    """Record one trained model with its scores, plots, predictions and weights."""
    spec = training.forecaster.spec
    log_params(run_id, spec.model_dump(mode="json"))
    log_scores(run_id, {**evaluation.scores, **training.weights, "seconds": training.seconds})
    if training.divergence:
        log_tags(run_id, {"diverged": training.divergence})
    log_files(run_id, "plots", figures)
    log_files(run_id, "predictions", {}, {spec.model: prediction_table(spec.model, evaluation, data)})
    log_json(run_id, "spec.json", spec.model_dump(mode="json"))
    log_model(run_id, training.forecaster, data.series)


@task(task_run_name="record_comparison", cache_policy=NO_CACHE)
@timed("record")
def record_comparison(
    run_id: str, results: dict[str, ModelResult], baselines: dict[str, Evaluation], choice: Choice, verdict: Verdict
) -> None:
    """Record how models and baselines compare, and what the gate decided."""
    model_scores, baseline_scores, chosen = scores_of(results), scores_of(baselines), choice.model
    scores = model_scores | baseline_scores
    log_scores(
        run_id,
        scores[chosen]
        | {f"gate/{name}_test_{verdict.measure}": score for name, score in verdict.scores.items()}
        | baseline_metrics(baseline_scores)
        | skill_metrics(scores[chosen], baseline_scores),
    )
    for name, result in results.items():
        log_tags(result.run_id, {"beats": beaten_tag(scores[name], baseline_scores)})
    if choice.better:
        log_tags(run_id, {"better_baseline": choice.better})
    log_tags(run_id, {"chosen": chosen, "beats": beaten_tag(scores[chosen], baseline_scores), **verdict.tags()})
    rows = score_rows(scores, chosen, training_columns(scores, choice.metric))
    caption = "RMSE in the series' own units; * is the chosen model."
    better = f"{sentence}\n\n" if (sentence := describe_better(choice, scores)) else ""
    log_note(run_id, f"{better}{verdict}\n\n{markdown_table(rows)}\n\n{caption}")
    log_files(run_id, "plots", {"comparison": plots.comparison(scores, list(results), list(baselines), chosen)})
    log_json(run_id, "comparison.json", scores)
    log_json(run_id, "gate.json", {**verdict.tags(), f"test_{verdict.measure}": verdict.scores})
    show_table("comparison", rows, f"{verdict} {caption}")


def summarize_training(
    recipe: str,
    experiment: str,
    parent: str,
    choice: Choice,
    results: dict[str, ModelResult],
    baselines: dict[str, Evaluation],
    verdict: Verdict,
    timings: Timer,
    settings: RunSettings,
) -> dict[str, Any]:
    """Return the summary of a training, for scripts and for the terminal."""
    return {
        "recipe": recipe,
        "experiment": experiment,
        "parent_run_id": parent,
        "chosen": choice.model,
        "chosen_by": choice.metric,
        "better_baseline": choice.better,
        "horizon": settings.horizon,
        "settings": settings.explained(),
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
        "seconds": {
            "train": sum(result.training.seconds for result in results.values()),
            "record": timings.seconds("record"),
            "flow": timings.total.seconds,
        },
    }

"""Record a backtest in MLflow: forecasts, scores by series and step, and plots; and summarize it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.backtest.forecasting import RollingForecasts
from tasks.backtest.planning import BacktestPlan
from tasks.backtest.scoring import BacktestScores
from tasks.backtest.tables import forecast_table
from tasks.comparison import baseline_metrics, beaten_tag, describe_better, describe_choice
from tasks.forecasting import write_forecast
from tasks.run_page import show_table
from tasks.score_tables import backtest_columns, markdown_table, score_rows
from tasks.timing import Timer
from tasks.tracking.entries import log_note, log_params, log_scores, log_tags
from tasks.tracking.files import log_files, log_json
from tasks.tracking.runs import TrackedRun
from tasks.training import Training


@task(task_run_name="record_training: {training.forecaster.spec.model}", cache_policy=NO_CACHE)
def record_training(run_id: str, training: Training, timings: Timer) -> None:
    """Record the settings of one model, and the seconds of its training and forecasts."""
    spec = training.forecaster.spec
    log_params(run_id, spec.model_dump(mode="json"))
    log_json(run_id, "spec.json", spec.model_dump(mode="json"))
    if training.divergence:
        log_tags(run_id, {"diverged": training.divergence})
    seconds = {"seconds": training.seconds, "seconds_forecasting": timings.seconds("forecast", spec.model)}
    log_scores(run_id, training.weights | seconds)


@task(task_run_name="record_backtest", cache_policy=NO_CACHE)
def record_backtest(
    run_id: str,
    model_run_ids: Mapping[str, str],
    plan: BacktestPlan,
    rolling: dict[str, RollingForecasts],
    scores: BacktestScores,
    figures: dict[str, Figure],
    level: int,
    output: str | None,
) -> None:
    """Record the forecasts and their scores, and write the forecasts to `output` if it is set."""
    columns = {}
    for name in scores.all:
        columns[name] = rolling[name].forecasts["test"]
        if interval := rolling[name].interval:
            columns |= {f"{name}-lo-{level}": interval[0], f"{name}-hi-{level}": interval[1]}
    table = forecast_table(plan, columns)
    if output:
        write_forecast(table, output)
    for name, model_scores in scores.models.items():
        log_scores(model_run_ids[name], model_scores)
        log_tags(model_run_ids[name], {"beats": beaten_tag(model_scores, scores.baselines)})
    log_scores(run_id, scores.models[scores.choice.model] | baseline_metrics(scores.baselines) | scores.skills)
    better = {"better_baseline": scores.choice.better} if scores.choice.better else {}
    log_tags(run_id, {"chosen": scores.chosen, "chosen_by": scores.chosen_by or "order", **better})
    rows = score_rows(scores.all, scores.chosen, backtest_columns(scores.all, scores.chosen_by))
    description = describe_backtest(plan, scores)
    first = f"{sentence}\n\n" if (sentence := describe_better(scores.choice, scores.all)) else ""
    log_note(run_id, f"{first}{description}\n\n{markdown_table(rows)}")
    log_files(run_id, "plots", figures)
    tables = {"forecasts": table, "scores_by_series": scores.by_series, "scores_by_step": scores.by_step}
    log_files(run_id, "backtest", {}, tables)
    log_json(run_id, "scores.json", scores.all)
    show_table("backtest", rows, description)


def describe_backtest(plan: BacktestPlan, scores: BacktestScores) -> str:
    """Say in a sentence what was forecast, and how the model was chosen."""
    n_series, n_origins = len(np.unique(plan.series("test"))), len(plan.origins["test"])
    of_series = f" of {n_series:,} series" if n_series > 1 else ""
    return (
        f"{plan.horizon:,} step{'s' * (plan.horizon > 1)} ahead from {n_origins:,} origin{'s' * (n_origins > 1)}"
        f"{of_series}, in the series' own units; * {describe_choice(scores.chosen, scores.chosen_by)}."
    )


def summarize_backtest(
    recipe: str,
    experiment: str,
    run: TrackedRun,
    plan: BacktestPlan,
    trainings: dict[str, Training],
    scores: BacktestScores,
    output: str | None,
    timings: Timer,
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the summary of a backtest, for scripts and for the terminal."""
    training = {name: trained.seconds for name, trained in trainings.items()}
    forecasting = {name: timings.seconds("forecast", name) for name in trainings}
    return {
        "recipe": recipe,
        "experiment": experiment,
        "parent_run_id": run.id,
        "chosen": scores.chosen,
        "chosen_by": scores.chosen_by,
        "better_baseline": scores.choice.better,
        "settings": settings,
        "models": {
            name: {"run_id": run.children[name], "seconds": training[name] + forecasting[name], "metrics": metrics}
            for name, metrics in scores.models.items()
        },
        "baselines": scores.baselines,
        "skill": scores.skills,
        "description": describe_backtest(plan, scores),
        "series": len(np.unique(plan.series("test"))),
        "horizon": plan.horizon,
        "origins": len(plan.origins["test"]),
        "output": output,
        "seconds": {
            "train": sum(training.values()),
            "forecast": sum(forecasting.values()),
            "flow": timings.total.seconds,
        },
    }

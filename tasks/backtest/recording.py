"""What is kept of a backtest: forecasts, scores by series and step, plots, and the summary of it all."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.backtest.forecasting import RollingForecasts, forecast_table
from tasks.backtest.planning import BacktestPlan
from tasks.backtest.scoring import BacktestScores, skills, table_rows
from tasks.evaluation import describe_beaten
from tasks.forecasting import write_forecast
from tasks.report import markdown_table
from tasks.run_page import show_table
from tasks.tracking.entries import log_note, log_params, log_scores, log_tags
from tasks.tracking.files import log_files, log_json
from tasks.training import Training


@dataclass(frozen=True)
class ModelRun:
    """Where a model of a backtest is recorded, and the seconds that training and forecasting took."""

    run_id: str
    training: float
    forecasting: float


@task(task_run_name="record_rolled: {training.forecaster.spec.model}", cache_policy=NO_CACHE)
def record_model(run_id: str, training: Training, rolled: RollingForecasts) -> ModelRun:
    """Record how one model was made."""
    spec = training.forecaster.spec
    log_params(run_id, spec.model_dump(mode="json"))
    log_json(run_id, "spec.json", spec.model_dump(mode="json"))
    if training.divergence:
        log_tags(run_id, {"diverged": training.divergence})
    run = ModelRun(run_id, training.seconds, rolled.seconds)
    log_scores(run_id, {"seconds": run.training, "seconds_forecasting": run.forecasting})
    return run


@task(task_run_name="record_backtest", cache_policy=NO_CACHE)
def record_backtest(
    run_id: str,
    plan: BacktestPlan,
    rolled: dict[str, RollingForecasts],
    scores: BacktestScores,
    runs: dict[str, ModelRun],
    figures: dict[str, Figure],
    level: int,
    output: str | None,
) -> None:
    """Record the forecasts and what they scored; they are written to `output` as well."""
    columns = {}
    for name in (*scores.models, *scores.baselines):
        columns[name] = rolled[name].forecasts["test"]
        if interval := rolled[name].interval:
            columns |= {f"{name}-lo-{level}": interval[0], f"{name}-hi-{level}": interval[1]}
    table = forecast_table(plan, columns)
    if output:
        write_forecast(table, output)
    for name, run in runs.items():
        log_scores(run.run_id, scores.models[name])
        log_tags(run.run_id, {"beats": describe_beaten(scores.models[name], scores.baselines)})
    log_scores(
        run_id,
        scores.models[scores.chosen]
        | {f"baseline_{name}_{key}": score for name, own in scores.baselines.items() for key, score in own.items()}
        | skills(scores),
    )
    log_tags(run_id, {"chosen": scores.chosen, "chosen_by": scores.chosen_by or "order"})
    rows, said = (
        table_rows(scores.models | scores.baselines, scores.chosen, scores.chosen_by),
        describe_backtest(plan, scores),
    )
    log_note(run_id, f"{said}\n\n{markdown_table(rows)}")
    log_files(run_id, "plots", figures)
    log_files(
        run_id,
        "backtest",
        {},
        {"forecasts": table, "scores_by_series": scores.by_series, "scores_by_step": scores.by_step},
    )
    log_json(run_id, "scores.json", scores.models | scores.baselines)
    show_table("backtest", rows, said)


def describe_backtest(plan: BacktestPlan, scores: BacktestScores) -> str:
    """What was forecast, in a sentence, and how the model was chosen."""
    ids, count = len(np.unique(plan.series("test"))), len(plan.origins["test"])
    of = f" of {ids:,} series" if ids > 1 else ""
    chosen = f"has the lowest {scores.chosen_by} of the models" if scores.chosen_by else "is the first model"
    return (
        f"{plan.horizon:,} step{'s' * (plan.horizon > 1)} ahead from {count:,} origin{'s' * (count > 1)}{of}, in the "
        f"series' own units; * {chosen}."
    )


def summarize(
    recipe: str,
    experiment: str,
    parent: str,
    scores: BacktestScores,
    runs: dict[str, ModelRun],
    plan: BacktestPlan,
    output: str | None,
    flow: float,
) -> dict[str, Any]:
    """The backtest in one JSON document."""
    return {
        "recipe": recipe,
        "experiment": experiment,
        "parent_run_id": parent,
        "chosen": scores.chosen,
        "chosen_by": scores.chosen_by,
        "models": {
            name: {"run_id": run.run_id, "seconds": run.training + run.forecasting, "metrics": scores.models[name]}
            for name, run in runs.items()
        },
        "baselines": scores.baselines,
        "skill": skills(scores),
        "description": describe_backtest(plan, scores),
        "series": len(np.unique(plan.series("test"))),
        "horizon": plan.horizon,
        "origins": len(plan.origins["test"]),
        "output": output,
        "seconds": {
            "train": sum(run.training for run in runs.values()),
            "forecast": sum(run.forecasting for run in runs.values()),
            "flow": flow,
        },
    }

"""Score past forecasts on the actual values, and find out whether the champion has degraded."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

from models.baselines import NAIVE
from models.display import format_number
from models.errors import InputError
from models.metrics import skill
from tasks import plots
from tasks.data.series import Series
from tasks.forecasting import experiment_of, format_time
from tasks.run_page import show_table
from tasks.tracking.entries import log_note, log_params, log_scores, log_tags
from tasks.tracking.files import download_table, log_files
from tasks.tracking.pages import run_pages
from tasks.tracking.registry import Version
from tasks.tracking.runs import finished_runs

DEGRADED = "tidecast.forecast.degraded"
"""The event that a deployment's trigger can wait for; its resource is `tidecast.series.<registered name>`."""


@dataclass(frozen=True)
class Health:
    """The champion's state, "good", "degraded" or "unknown", the reason, and the scores of it and of the baselines."""

    state: str
    reason: str
    scores: dict[str, float]


@task(task_run_name="read_forecasts", cache_policy=NO_CACHE)
def read_forecasts(name: str, most: int) -> pd.DataFrame:
    """Return the latest recorded forecasts of a registered model as one table; the model's column is called `model`.

    **Raises:** `InputError` if there is none.
    """
    runs = finished_runs(experiment_of(name), most)
    if not runs:
        raise InputError(f"no forecast of '{name}' is recorded; make one with tidecast forecast --model {name}")
    tables = []
    for run_id, tags in runs:
        table = download_table(run_id, "forecast/forecast.parquet").rename(columns={tags["model"]: "model"})
        tables.append(table.assign(run_id=run_id, version=int(tags["version"])))
    return pd.concat(tables, ignore_index=True)


@task(task_run_name="score_forecasts", cache_policy=NO_CACHE)
def score_forecasts(forecasts: pd.DataFrame, series: Series) -> pd.DataFrame:
    """Return a row for each forecast with a known actual value: `cutoff`, `version`, `points`, and RMSE by column.

    Of several forecasts by one version from one cutoff, the longest counts.
    """
    panel = series.panel
    ids = np.array(panel.ids, dtype=object)[panel.series_of(np.arange(len(panel.values)))]
    actuals = pd.DataFrame({"unique_id": ids, "ds": panel.all_times(), "y": panel.values})[panel.observed]
    if forecasts["ds"].dtype.kind != actuals["ds"].dtype.kind:
        raise InputError("the forecasts and the series count time in different ways; check --series.time")
    joined = forecasts.merge(actuals, on=["unique_id", "ds"])
    columns = ["model", *NAIVE]
    joined[columns] = joined[columns].sub(joined["y"], axis=0) ** 2
    by_run = joined.groupby("run_id", sort=False)
    scores = pd.DataFrame(
        {"cutoff": by_run["cutoff"].max(), "version": by_run["version"].first(), "points": by_run.size()}
    )
    scores = scores.join(by_run[columns].mean() ** 0.5).reset_index()
    longest_first = scores.sort_values("points", ascending=False, kind="stable")
    return longest_first.drop_duplicates(["cutoff", "version"]).sort_values(["cutoff", "version"], ignore_index=True)


def assess_health(scores: pd.DataFrame, champion: Version, bound: float, recent: int) -> Health:
    """Compare the champion with the seasonal naive over its latest forecasts, at most `recent` of them.

    It has degraded where its skill is below `bound`. Over a seasonal naive without error, its skill counts as -1, or as
    0 if it makes none either.
    """
    latest = scores[scores["version"] == champion.number].tail(recent)
    if latest.empty:
        return Health("unknown", f"no actual value is known yet for any forecast by {champion}", {})
    squares = (latest[["model", *NAIVE]] ** 2).mul(latest["points"], axis=0)
    rmse = (squares.sum() / latest["points"].sum()) ** 0.5
    pooled = {"rmse": rmse["model"], **{f"{name}_rmse": rmse[name] for name in NAIVE}}
    naive = pooled["seasonal_naive_rmse"]
    pooled["skill"] = skill(pooled["rmse"], naive) if naive > 0 else -1.0 * (pooled["rmse"] > 0)
    degraded = pooled["skill"] < bound
    reason = (
        f"over the latest {len(latest)} forecast{'s' * (len(latest) > 1)} by {champion} the RMSE is "
        f"{format_number(pooled['rmse'])}, and that of the seasonal naive {format_number(naive)}: a skill of "
        f"{format_number(pooled['skill'])}, {'' if degraded else 'not '}below {bound:g}"
    )
    return Health("degraded" if degraded else "good", reason, {name: float(score) for name, score in pooled.items()})


@task(task_run_name="plot_scores", cache_policy=NO_CACHE)
def plot_scores(scores: pd.DataFrame, champion: Version, bound: float, unit: str) -> dict[str, Figure]:
    """Draw RMSE and skill of all scored forecasts over time; no figure if there is none."""
    if scores.empty:
        return {}
    figure = plots.skill(
        champion.name,
        scores["cutoff"].to_numpy(),
        {name: scores[name].to_numpy() for name in ("model", "seasonal_naive", "last_value")},
        bound,
        unit,
        [str(version) for version in scores["version"]],
    )
    return {"scores": figure}


@task(task_run_name="record_health", cache_policy=NO_CACHE)
def record_health(
    run_id: str,
    scores: pd.DataFrame,
    health: Health,
    champion: Version,
    figures: dict[str, Figure],
    settings: dict[str, Any],
) -> None:
    """Record the scores of the forecasts, and the champion's health."""
    log_params(run_id, settings)
    log_tags(run_id, {"version": str(champion), "health": health.state, "health.reason": health.reason})
    log_scores(run_id, health.scores)
    log_note(run_id, f"{champion} is **{health.state}**: {health.reason}.")
    log_files(run_id, "scores", {}, {"scores": scores})
    log_files(run_id, "plots", figures)
    show_table("scores", latest_score_rows(scores), f"RMSE of the latest forecasts. {health.reason}.")


def latest_score_rows(scores: pd.DataFrame, most: int = 20) -> list[dict[str, str]]:
    """Return the latest scores as texts, with a row for each forecast."""
    return [
        {"cutoff": format_time(row["cutoff"]), "version": str(row["version"]), "points": str(row["points"])}
        | {name: format_number(row[name]) for name in ("model", *NAIVE)}
        for row in scores.tail(most).to_dict("records")
    ]


@task(task_run_name="ask_for_retraining", cache_policy=NO_CACHE)
def ask_for_retraining(run_id: str, health: Health, champion: Version) -> None:
    """Emit the event that starts any deployment with a trigger for it."""
    pages = run_pages(run_id)
    emit_event(
        DEGRADED,
        resource={"prefect.resource.id": f"tidecast.series.{champion.name}", "prefect.resource.name": champion.name},
        payload={"version": champion.number, "reason": health.reason, "run": pages and pages[0], **health.scores},
    )


def summarize_monitoring(run_id: str, champion: Version, scores: pd.DataFrame, health: Health) -> dict[str, Any]:
    """Return the summary of a monitoring run, for scripts and for the terminal."""
    return {
        "model": champion.name,
        "version": champion.number,
        "run_id": run_id,
        "health": health.state,
        "reason": health.reason,
        "scores": health.scores,
        "forecasts": latest_score_rows(scores),
    }

"""Compare past forecasts with what came, and say where a model has become worse than the seasonal naive."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

from models.baselines import NAIVE
from models.errors import InputError
from models.metrics import skill
from tasks import plots
from tasks.data.series import Series
from tasks.forecasting import experiment_of, format_time
from tasks.report import format_number
from tasks.run_page import show_table
from tasks.tracking.entries import log_note, log_params, log_scores, log_tags
from tasks.tracking.files import download_table, log_files
from tasks.tracking.pages import run_page
from tasks.tracking.registry import Version
from tasks.tracking.runs import finished_runs

DEGRADED = "tidecast.forecast.degraded"
"""The event that a deployment's trigger waits for; its resource is `tidecast.series.<registered name>`."""


@dataclass(frozen=True)
class Health:
    """How the champion does: "good", "degraded" or "unknown", why, and its scores beside those of the naive ones."""

    health: str
    reason: str
    scores: dict[str, float]


@task(task_run_name="read_forecasts", cache_policy=NO_CACHE)
def read_forecasts(name: str, most: int) -> pd.DataFrame:
    """The latest logged forecasts of a registered model, end to end, the model's column as `model`.

    **Raises:** `InputError` where none was logged.
    """
    runs = finished_runs(experiment_of(name), most)
    if not runs:
        raise InputError(f"no forecast of '{name}' is logged; make one with tidecast forecast --model {name}")
    tables = []
    for run_id, tags in runs:
        table = download_table(run_id, "forecast/forecast.parquet").rename(columns={tags["model"]: "model"})
        tables.append(table.assign(run_id=run_id, version=int(tags["version"])))
    return pd.concat(tables, ignore_index=True)


@task(task_run_name="score_forecasts", cache_policy=NO_CACHE)
def score_forecasts(forecasts: pd.DataFrame, series: Series) -> pd.DataFrame:
    """A row a forecast of which any actual value has come: `cutoff`, `version`, `points`, and RMSE by column.

    Of several forecasts by one version from one cutoff, the longest counts.
    """
    panel = series.panel
    ids = np.array(panel.ids, dtype=object)[panel.series_of(np.arange(len(panel.values)))]
    actuals = pd.DataFrame({"unique_id": ids, "ds": panel.all_times(), "y": panel.values})[panel.observed]
    if forecasts["ds"].dtype.kind != actuals["ds"].dtype.kind:
        raise InputError("the forecasts and the series count time in different ways; check --series.time")
    known = forecasts.merge(actuals, on=["unique_id", "ds"])
    columns = ["model", *NAIVE]
    known[columns] = known[columns].sub(known["y"], axis=0) ** 2
    by_run = known.groupby("run_id", sort=False)
    about = pd.DataFrame(
        {"cutoff": by_run["cutoff"].max(), "version": by_run["version"].first(), "points": by_run.size()}
    )
    scores = about.join(by_run[columns].mean() ** 0.5).reset_index()
    longest_first = scores.sort_values("points", ascending=False, kind="stable")
    return longest_first.drop_duplicates(["cutoff", "version"]).sort_values(["cutoff", "version"], ignore_index=True)


def assess_health(scores: pd.DataFrame, champion: Version, bound: float, recent: int) -> Health:
    """Whether the champion's latest forecasts, `recent` of them at most, are better than the seasonal naive."""
    own = scores[scores["version"] == champion.number].tail(recent)
    if own.empty:
        return Health("unknown", f"no actual value has come yet for a forecast by {champion}", {})
    squares = (own[["model", *NAIVE]] ** 2).mul(own["points"], axis=0)
    pooled = (squares.sum() / own["points"].sum()) ** 0.5
    found = {"rmse": pooled["model"], **{f"{name}_rmse": pooled[name] for name in NAIVE}}
    naive = found["seasonal_naive_rmse"]
    found["skill"] = skill(found["rmse"], naive) if naive > 0 else -1.0 * (found["rmse"] > 0)
    degraded = found["skill"] < bound
    reason = (
        f"over the last forecasts by {champion} ({len(own)}) the RMSE is {found['rmse']:.3g} and that of the seasonal "
        f"naive {naive:.3g}, a skill of {found['skill']:.3g}, which is {'' if degraded else 'not '}below {bound:g}"
    )
    return Health("degraded" if degraded else "good", reason, {name: float(score) for name, score in found.items()})


@task(task_run_name="plot_scores", cache_policy=NO_CACHE)
def plot_scores(scores: pd.DataFrame, champion: Version, bound: float, unit: str) -> dict[str, Figure]:
    """RMSE and skill of every scored forecast over time, where any was scored."""
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


@task(task_run_name="record_judgement", cache_policy=NO_CACHE)
def record_health(
    run_id: str,
    scores: pd.DataFrame,
    judgement: Health,
    champion: Version,
    figures: dict[str, Figure],
    settings: dict[str, Any],
) -> None:
    """Keep the scores over time, and what follows from them."""
    log_params(run_id, settings)
    log_tags(run_id, {"version": str(champion), "health": judgement.health, "health.reason": judgement.reason})
    log_scores(run_id, judgement.scores)
    log_note(run_id, f"{champion} is **{judgement.health}**: {judgement.reason}.")
    log_files(run_id, "scores", {}, {"scores": scores})
    log_files(run_id, "plots", figures)
    show_table("scores", score_rows(scores), f"RMSE of the latest forecasts. {judgement.reason}.")


def score_rows(scores: pd.DataFrame, most: int = 20) -> list[dict[str, str]]:
    """The latest scores as a person reads them, a row a forecast."""
    return [
        {"cutoff": format_time(row["cutoff"]), "version": str(row["version"]), "points": str(row["points"])}
        | {name: format_number(row[name]) for name in ("model", *NAIVE)}
        for row in scores.tail(most).to_dict("records")
    ]


@task(task_run_name="ask_for_retraining", cache_policy=NO_CACHE)
def ask_for_retraining(run_id: str, judgement: Health, champion: Version) -> None:
    """Emit the event that starts whatever deployment has a trigger for it."""
    emit_event(
        DEGRADED,
        resource={"prefect.resource.id": f"tidecast.series.{champion.name}", "prefect.resource.name": champion.name},
        payload={"version": champion.number, "reason": judgement.reason, "run": run_page(run_id), **judgement.scores},
    )


def summarize(run_id: str, champion: Version, scores: pd.DataFrame, judgement: Health) -> dict[str, Any]:
    """What came of it, for scripts."""
    return {
        "model": champion.name,
        "version": champion.number,
        "run_id": run_id,
        "health": judgement.health,
        "reason": judgement.reason,
        "scores": judgement.scores,
        "forecasts": score_rows(scores),
    }

"""Monitor a champion: score its past forecasts once the actual values are known."""

from typing import Any

from prefect import flow
from prefect.runtime import flow_run

from flows.parameters import document_parameters
from flows.startup import quick_imports
from models.specs import MostForecasts, RecentForecasts, Reference, SeriesSpec, SkillBound


@flow(name="monitor", flow_run_name="{model}")
@document_parameters
def monitor(
    model: Reference = None,
    series: SeriesSpec = SeriesSpec(),
    bound: SkillBound = 0.0,
    recent: RecentForecasts = 5,
    most: MostForecasts = 200,
) -> dict[str, Any]:
    """Score the recorded forecasts of a registered model on the actual values, and raise an alarm if it has degraded.

    The actual values are read from the source of the training, with the fields that `series` changes. The alarm is the
    event `tidecast.forecast.degraded`, for which a deployment that retrains has a trigger.

    Runs left open by killed processes are closed as well.

    Returns the summary that `tidecast monitor --json` writes.
    """
    with quick_imports():
        from tasks.data.series import read_series
        from tasks.forecasting import source_of
        from tasks.monitoring import (
            ask_for_retraining,
            assess_health,
            plot_scores,
            read_forecasts,
            record_health,
            score_forecasts,
            summarize_monitoring,
        )
        from tasks.orphans import close_orphans
        from tasks.run_labels import run_tags
        from tasks.run_page import link_run
        from tasks.tracking.registry import find_version
        from tasks.tracking.runs import tracked_run

    close_orphans()
    champion = find_version(model)
    source = source_of(champion, series)
    actuals = read_series(source)
    scores = score_forecasts(read_forecasts(champion.name, most), actuals)
    health = assess_health(scores, champion, bound, recent)
    with tracked_run(f"{champion.name} monitor", str(champion), run_tags(actuals, "cpu")) as run:
        link_run(run.id)
        figures = plot_scores(scores, champion, bound, actuals.unit)
        record_health(run.id, scores, health, champion, figures, {**flow_run.parameters, "series": source})
        if health.state == "degraded":
            ask_for_retraining(run.id, health, champion)
    return summarize_monitoring(run.id, champion, scores, health)

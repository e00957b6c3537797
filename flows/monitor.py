"""Watch over a champion: score its past forecasts once the actual values have come."""

from typing import Any

from prefect import flow

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
    """Score the logged forecasts of a registered model against what came, and raise the alarm where it has degraded.

    Runs whose process was killed are closed on the way.

    The actual values are read from where the model was trained, or from what `series` names instead. The alarm is the
    event `tidecast.forecast.degraded`, for which a deployment that retrains has a trigger.

    Returns the summary that `tidecast monitor --json` writes.
    """
    settings = dict(locals())
    # Imported here, since it takes seconds, so that options can be read and a server started without it.
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
            summarize,
        )
        from tasks.orphans import close_orphans
        from tasks.recording import run_tags
        from tasks.run_page import link_run
        from tasks.tracking.registry import find_version
        from tasks.tracking.runs import tracked_run

    close_orphans()
    champion = find_version(model)
    settings["series"] = source_of(champion, series)
    actuals = read_series(settings["series"])
    scores = score_forecasts(read_forecasts(champion.name, most), actuals)
    judgement = assess_health(scores, champion, bound, recent)
    with tracked_run(f"{champion.name} monitor", str(champion), run_tags(actuals, "cpu")) as run:
        link_run(run.id)
        figures = plot_scores(scores, champion, bound, actuals.unit)
        record_health(run.id, scores, judgement, champion, figures, settings)
        if judgement.health == "degraded":
            ask_for_retraining(run.id, judgement, champion)
    return summarize(run.id, champion, scores, judgement)

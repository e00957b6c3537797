"""Forecast a series beyond its last row with the champion that was trained on it."""

from typing import Any

from prefect import flow

from flows.parameters import document_parameters
from flows.startup import quick_imports
from models.specs import Horizon, Output, Reference, SeriesSpec


@flow(name="forecast", flow_run_name="{model}")
@document_parameters
def forecast(
    model: Reference = None,
    horizon: Horizon = None,
    series: SeriesSpec = SeriesSpec(),
    output: Output = None,
) -> dict[str, Any]:
    """Forecast with a registered model, beside the naive baselines; what was forecast is kept in MLflow.

    The rows are read afresh from where the model was trained, or from what `series` names instead.

    Returns the summary that `tidecast forecast --json` writes.
    """
    settings = dict(locals())
    # Imported here, since it takes seconds, so that options can be read and a server started without it.
    with quick_imports():
        from tasks.data.series import read_series
        from tasks.forecasting import (
            experiment_of,
            make_forecast,
            plot_forecast,
            record_forecast,
            run_name,
            source_of,
            summarize,
            write_forecast,
        )
        from tasks.recording import run_tags
        from tasks.run_page import link_run
        from tasks.tracking.registry import find_version
        from tasks.tracking.runs import tracked_run

    version = find_version(model)
    settings["series"] = source_of(version, series)
    fresh = read_series(settings["series"])
    with tracked_run(experiment_of(version.name), run_name(version, fresh), run_tags(fresh, "cpu")) as run:
        link_run(run.id)
        found = make_forecast(version, fresh, horizon)
        if output:
            write_forecast(found.table, output)
        figure = plot_forecast(found, version, fresh)
        record_forecast(run.id, found, figure, version, fresh, settings)
    return summarize(run.id, version, found, output)

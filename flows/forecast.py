"""Forecast a series beyond its last row with the champion that was trained on it."""

from typing import Any

from prefect import flow
from prefect.runtime import flow_run

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
    """Forecast with a registered model, beside the naive baselines, and record the forecast in MLflow.

    The rows are read again from the source of the training, with the fields that `series` changes.

    Returns the summary that `tidecast forecast --json` writes.
    """
    with quick_imports():
        from tasks.data.series import read_series
        from tasks.forecasting import (
            experiment_of,
            make_forecast,
            plot_forecast,
            record_forecast,
            run_name,
            source_of,
            summarize_forecast,
            write_forecast,
        )
        from tasks.run_labels import run_tags
        from tasks.run_page import link_run
        from tasks.tracking.registry import find_version
        from tasks.tracking.runs import tracked_run

    version = find_version(model)
    source = source_of(version, series)
    latest = read_series(source)
    with tracked_run(experiment_of(version.name), run_name(version, latest), run_tags(latest, "cpu")) as run:
        link_run(run.id)
        forecast = make_forecast(version, latest, horizon)
        if output:
            write_forecast(forecast.table, output)
        figure = plot_forecast(forecast, version, latest)
        record_forecast(run.id, forecast, figure, version, latest, {**flow_run.parameters, "series": source})
    return summarize_forecast(run.id, version, forecast, output)

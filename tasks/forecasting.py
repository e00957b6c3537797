"""Forecast with a registered model: beyond the last rows of a series, beside the naive baselines."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from prefect import task
from prefect.cache_policies import NO_CACHE

from models.baselines import NAIVE, SeasonalNaive
from models.data.panel import Panel
from models.data.windows import refuse_short_past
from models.errors import InputError
from models.files import write_atomically
from models.forecaster import future_table
from models.specs import SeriesSpec, change_source
from tasks import plots
from tasks.data.series import Series
from tasks.report import format_number
from tasks.run_page import show_table
from tasks.tracking.entries import log_dataset, log_note, log_params, log_tags
from tasks.tracking.files import log_files
from tasks.tracking.registry import Version, load_version

MOMENTS = (np.datetime64, pd.Timestamp)
SHOWN = 3
"""Times its own length that a forecast's past is drawn."""


@dataclass(frozen=True)
class Forecast:
    """A long table, `unique_id`, `cutoff`, `ds`, a column named after the `model`, and one a naive baseline."""

    table: pd.DataFrame
    model: str


def experiment_of(name: str) -> str:
    """The experiment that holds the forecasts of a registered model."""
    return f"{name} forecasts"


def source_of(version: Version, given: SeriesSpec) -> SeriesSpec:
    """Where a version's series comes from: where it came from in training, but for what is given."""
    changes = given.model_dump(exclude_defaults=True)
    return SeriesSpec.model_validate(change_source(version.trained_on["series"], changes))


def format_time(moment: Any) -> str:
    """A time as a person writes it: a midnight is a day."""
    return str(pd.Timestamp(moment)).removesuffix(" 00:00:00") if isinstance(moment, MOMENTS) else str(moment)


def steps_ahead(version: Version, panel: Panel, horizon: int | None) -> int:
    """How far to forecast: as asked, or as far as covariates are told, else a season or all that the model answers."""
    told = panel.covariates
    if horizon is None and told is not None and told.n_known > told.n_static and min(map(len, told.ahead)) > 0:
        return min(map(len, told.ahead))
    return horizon or max(int(version.trained_on["season"]), int(version.trained_on["horizon"]))


def refuse_missing_rows(version: Version, series: Series, horizon: int | None) -> None:
    """Find what a forecast would lack.

    **Raises:** `InputError` where a series has fewer values than the version reads, or covariates are not told as far
    ahead as it needs them.
    """
    panel, steps = series.panel, steps_ahead(version, series.panel, horizon)
    if not version.trained_on["padded"]:
        refuse_short_past(panel, panel.ends, version.trained_on["window_length"])
    for n, length in enumerate((panel.ends - panel.starts).tolist()):
        panel.covariates_of(n, length, steps)


def run_name(version: Version, series: Series) -> str:
    """What a forecast's run is called: the version, and the last time that it knows."""
    return f"{version} from {format_time(max(series.panel.all_times()[series.panel.ends - 1]))}"


@task(task_run_name="make_forecast", cache_policy=NO_CACHE)
def make_forecast(version: Version, series: Series, horizon: int | None) -> Forecast:
    """Forecast every series `horizon` steps beyond its last row, by default as `steps_ahead` says.

    **Raises:** `InputError` where a series is shorter than what the model reads.
    """
    forecaster, season = load_version(version), int(version.trained_on["season"])
    panel, steps = forecaster.pad_short_series(series.panel), steps_ahead(version, series.panel, horizon)
    answers = forecaster.forecast_panel(panel, steps)  # [N, steps] each
    for name, period in zip(NAIVE, (1, season), strict=True):
        answers[name] = SeasonalNaive(period, steps).extend(panel, steps)
    return Forecast(future_table(panel, answers), forecaster.spec.model)


@task(task_run_name="plot_forecast", cache_policy=NO_CACHE)
def plot_forecast(forecast: Forecast, version: Version, series: Series) -> Figure:
    """The first series: its last stretch, and what is forecast from there on."""
    panel, own = series.panel, forecast.table[forecast.table["unique_id"] == series.panel.ids[0]]
    end = int(panel.ends[0])
    begin = max(0, end - max(SHOWN * len(own), 20))
    title = f"{version.name}, version {version.number} ({forecast.model})"
    if len(panel.ids) > 1:
        title += f", {panel.ids[0]} (the first of {len(panel.ids)} series)"
    return plots.forecast(
        title,
        panel.times(0, begin, end - begin),
        panel.values[begin:end],
        own["ds"].to_numpy(),
        {name: own[name].to_numpy() for name in (forecast.model, *NAIVE)},
        series.unit,
        **band_of(forecast, own),
    )


def band_of(forecast: Forecast, rows: pd.DataFrame) -> dict[str, Any]:
    """The interval of some rows, as the plots take it; nothing where the model has none."""
    for name in map(str, rows):
        if name.startswith(f"{forecast.model}-lo-"):
            level = int(name.rsplit("-", 1)[1])
            high = rows[f"{forecast.model}-hi-{level}"]
            return {"low": rows[name].to_numpy(), "high": high.to_numpy(), "level": level / 100}
    return {}


@task(task_run_name="record_forecast", cache_policy=NO_CACHE)
def record_forecast(
    run_id: str, forecast: Forecast, figure: Figure, version: Version, series: Series, settings: dict[str, Any]
) -> None:
    """Keep what was forecast, from what, and by which version; `monitor` reads it back when the actuals have come."""
    log_params(run_id, settings)
    log_dataset(run_id, series)
    cutoff = format_time(forecast.table["cutoff"].max())
    log_tags(
        run_id,
        {"registered": version.name, "version": str(version.number), "model": forecast.model, "cutoff": cutoff},
    )
    log_note(
        run_id, f"{len(forecast.table):,} forecasts of {version.name} from {cutoff} on, by version {version.number}."
    )
    show_table("forecast", forecast_rows(forecast), f"The first steps that {version} forecasts, beside the naive ones.")
    log_files(run_id, "forecast", {}, {"forecast": forecast.table})
    log_files(run_id, "plots", {"forecast": figure})


def forecast_rows(forecast: Forecast, most: int = 20) -> list[dict[str, str]]:
    """The first forecasts as a person reads them, a row a step."""
    return [
        {"unique_id": str(row["unique_id"]), "ds": format_time(row["ds"])}
        | {name: format_number(row[name]) for name in (forecast.model, *NAIVE)}
        for row in forecast.table.head(most).to_dict("records")
    ]


@task(task_run_name="write_forecast", cache_policy=NO_CACHE)
def write_forecast(table: pd.DataFrame, output: str) -> None:
    """Write the table as Parquet or CSV, by the name's ending: to a path, or to a URL that fsspec knows.

    **Raises:** `InputError` where the place cannot be written to.
    """
    buffer = io.BytesIO()
    if output.endswith(".csv"):
        table.to_csv(buffer, index=False)
    else:
        table.to_parquet(buffer, index=False)
    try:
        if "://" in output:
            with fsspec.open(output, "wb") as file:
                file.write(buffer.getvalue())
        else:
            write_atomically(Path(output), buffer.getvalue())
    except (OSError, ImportError, ValueError) as error:
        raise InputError(f"--output {output} cannot be written: {error}") from error


def summarize(run_id: str, version: Version, forecast: Forecast, output: str | None) -> dict[str, Any]:
    """What was forecast, for scripts and for the screen."""
    return {
        "model": version.name,
        "version": version.number,
        "run_id": run_id,
        "column": forecast.model,
        "series": int(forecast.table["unique_id"].nunique()),
        "cutoff": format_time(forecast.table["cutoff"].max()),
        "last": format_time(forecast.table["ds"].max()),
        "rows": len(forecast.table),
        "output": output,
    }

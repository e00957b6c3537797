"""Forecast with a registered model beyond the last rows of a series, beside the naive baselines."""

import io
import logging
from collections.abc import Sequence
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
from models.display import enumerated, format_number, printable
from models.errors import InputError
from models.files import write_atomically
from models.forecaster import future_table
from models.specs import ROWS, SeriesSpec, change_source
from tasks import plots
from tasks.data.series import Series
from tasks.plots.style import SHORTEST_CONTEXT, title_of_first
from tasks.run_page import show_table
from tasks.tracking.entries import log_dataset, log_note, log_params, log_tags
from tasks.tracking.files import log_files
from tasks.tracking.registry import Version, load_version

log = logging.getLogger("tidecast")
CONTEXT_HORIZONS = 3
"""Length of the past that is drawn before a forecast, in horizons of it."""


@dataclass(frozen=True)
class Forecast:
    """A forecast as a long table: `unique_id`, `cutoff`, `ds`, the `model`'s columns, and one for each naive baseline.

    The model has a column of its name, and two for the bounds of its interval if it has one.
    """

    table: pd.DataFrame
    model: str


def experiment_of(name: str) -> str:
    """Return the experiment that holds the forecasts of a registered model."""
    return f"{name} forecasts"


def source_of(version: Version, changes: SeriesSpec) -> SeriesSpec:
    """Return where to read a version's series: where its training read it, with the fields that `changes` sets.

    Unless another step is named, the rows have to follow that of the training.
    """
    changed, trained_on = changes.model_dump(exclude_defaults=True), version.trained_on
    source = change_source(trained_on["series"], changed)
    if "wave" not in source and "step" not in changed and source.get("step") != ROWS:
        source["step"] = trained_on["step"]
    return SeriesSpec.model_validate(source)


def format_time(time: Any) -> str:
    """Format a timestamp or an integer time; midnight is left out of a timestamp."""
    is_timestamp = isinstance(time, np.datetime64 | pd.Timestamp)
    return str(pd.Timestamp(time)).removesuffix(" 00:00:00") if is_timestamp else str(time)


def steps_ahead(version: Version, panel: Panel, horizon: int | None) -> int:
    """Return how many steps to forecast: `horizon`, or by default as far as covariates known ahead reach in all series.

    Without such covariates, the default is a season or all steps of the model's head, whichever is more.
    """
    covariates = panel.covariates
    if horizon is None and covariates is not None and covariates.n_known > covariates.n_static:
        reach = min(map(len, covariates.ahead))
        if reach > 0:
            return reach
    return horizon or max(int(version.trained_on["season"]), int(version.trained_on["horizon"]))


def refuse_missing_rows(version: Version, series: Series, horizon: int | None) -> None:
    """Check that a forecast has all the rows it needs.

    **Raises:** `InputError` if the rows have another step than the training, if a series has fewer values than the
    version reads, or if covariates known ahead have too few future rows.
    """
    panel, steps = series.panel, steps_ahead(version, series.panel, horizon)
    step = version.trained_on["step"]
    if str(panel.step) != step:
        raise InputError(
            f"{version} was trained on steps of {step}, and these rows have steps of {panel.step}; "
            "leave --series.step out, or train on rows of this step"
        )
    if not version.trained_on["padded"]:
        refuse_short_past(panel, panel.ends, version.trained_on["window_length"])
    for n, length in enumerate((panel.ends - panel.starts).tolist()):
        panel.covariates_of(n, length, steps)


def run_name(version: Version, series: Series) -> str:
    """Return the name of a forecast's run: the version, and the last time of the rows."""
    return f"{version} from {format_time(max(series.panel.all_times()[series.panel.ends - 1]))}"


@task(task_run_name="make_forecast", cache_policy=NO_CACHE)
def make_forecast(version: Version, series: Series, horizon: int | None) -> Forecast:
    """Forecast every series `horizon` steps beyond its last row, by default as many as `steps_ahead` returns.

    **Raises:** `InputError` if a series is shorter than what the model reads.
    """
    forecaster, season = load_version(version), int(version.trained_on["season"])
    panel, steps = forecaster.pad_short_series(series.panel), steps_ahead(version, series.panel, horizon)
    unseen = [name for name in panel.ids if name not in forecaster.interval_scales]
    if unseen:
        log.warning("%s", describe_unseen(unseen))
    columns = forecaster.forecast_panel(panel, steps)  # [N, S] each
    for name, period in zip(NAIVE, (1, season), strict=True):
        columns[name] = SeasonalNaive(period, steps).extend(panel, steps)  # [N, S]
    return Forecast(future_table(panel, columns), forecaster.spec.model)


def describe_unseen(names: Sequence[str]) -> str:
    """Say which series were not in the training."""
    some = printable(enumerated([*names[:3], *(["others"] if len(names) > 3 else [])]), 200)
    if len(names) == 1:
        return f"1 series was never seen in training, and is scaled by its own rows: {some}"
    return f"{len(names)} series were never seen in training, and are scaled by their own rows: {some}"


@task(task_run_name="plot_forecast", cache_policy=NO_CACHE)
def plot_forecast(forecast: Forecast, version: Version, series: Series) -> Figure:
    """Draw the forecast of the first series after the end of its past."""
    panel, rows = series.panel, forecast.table[forecast.table["unique_id"] == series.panel.ids[0]]
    end = int(panel.ends[0])
    begin = max(0, end - max(CONTEXT_HORIZONS * len(rows), SHORTEST_CONTEXT))
    return plots.forecast(
        title_of_first(f"{version.name}, version {version.number} ({forecast.model})", panel.ids),
        panel.times(0, begin, end - begin),
        panel.values[begin:end],
        rows["ds"].to_numpy(),
        {name: rows[name].to_numpy() for name in (forecast.model, *NAIVE)},
        series.unit,
        **interval_arguments(forecast, rows),
    )


def interval_arguments(forecast: Forecast, rows: pd.DataFrame) -> dict[str, Any]:
    """Return the interval of some rows as arguments of `plots.forecast`; empty if the model has none."""
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
    """Record a forecast with its version, settings and data; `monitor` reads it back to score it."""
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
    show_table("forecast", forecast_rows(forecast), f"The first steps of the forecast by {version} and the baselines.")
    log_files(run_id, "forecast", {}, {"forecast": forecast.table})
    log_files(run_id, "plots", {"forecast": figure})


def forecast_rows(forecast: Forecast, most: int = 20) -> list[dict[str, str]]:
    """Return the first rows of a forecast as texts."""
    return [
        {"unique_id": str(row["unique_id"]), "ds": format_time(row["ds"])}
        | {name: format_number(row[name]) for name in (forecast.model, *NAIVE)}
        for row in forecast.table.head(most).to_dict("records")
    ]


@task(task_run_name="write_forecast", cache_policy=NO_CACHE)
def write_forecast(table: pd.DataFrame, output: str) -> None:
    """Write the table as Parquet or CSV, by the name's ending, to a path or to a URL that fsspec supports.

    **Raises:** `InputError` if it cannot be written.
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


def summarize_forecast(run_id: str, version: Version, forecast: Forecast, output: str | None) -> dict[str, Any]:
    """Return the summary of a forecast, for scripts and for the terminal."""
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

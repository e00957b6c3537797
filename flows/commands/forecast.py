"""The command `tidecast forecast`."""

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from flows.commands.checks import find_model, refuse_output
from flows.commands.running import Changes, JsonFile, run_command
from flows.forecast import forecast as forecast_flow
from flows.parameters import options_of
from models.specs import SeriesSpec

if TYPE_CHECKING:  # takes a second
    from tasks.data.series import Series

ForecastOptions: type[BaseModel] = options_of(forecast_flow.fn)


def forecast(
    recipe: str | None = None,
    /,
    *,
    changes: Changes[ForecastOptions] = None,  # type: ignore[valid-type]
    json_file: JsonFile = None,
) -> None:
    """Forecast a series beyond its last row with its champion, and keep the forecast in MLflow.

    The rows are read anew from the file that the model was trained on, or from the one that --series names.

    Parameters
    ----------
    recipe
        A deployment of `forecast` in the catalogue.
    """
    run_command(
        forecast_flow,
        recipe,
        changes,
        json_file,
        check=check_forecast,
        load_libraries=load_forecast_libraries,
    )


def check_forecast(options: dict[str, Any]) -> "tuple[SeriesSpec, Series]":
    """Find the model and read the series before anything is started or written; returns the series.

    **Raises:** `InputError`.
    """
    from tasks.data.series import read_series
    from tasks.forecasting import refuse_missing_rows, source_of

    refuse_output(options["output"])
    version = find_model(options)
    source = source_of(version, options["series"])
    series = read_series.fn(source)
    refuse_missing_rows(version, series, options["horizon"])
    return source, series


def load_forecast_libraries(_: dict[str, Any]) -> None:
    """Import what the tasks need."""
    from models import recurrent  # noqa: F401
    from tasks import forecasting, recording  # noqa: F401

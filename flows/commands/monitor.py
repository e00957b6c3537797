"""The command `tidecast monitor`."""

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from flows.commands.checks import find_model
from flows.commands.running import Changes, JsonFile, run_command
from flows.monitor import monitor as monitor_flow
from flows.parameters import options_of
from models.specs import SeriesSpec

if TYPE_CHECKING:  # takes a second
    from tasks.data.series import Series

MonitorOptions: type[BaseModel] = options_of(monitor_flow.fn)


def monitor(
    recipe: str | None = None,
    /,
    *,
    changes: Changes[MonitorOptions] = None,  # type: ignore[valid-type]
    json_file: JsonFile = None,
) -> None:
    """Score past forecasts against the actual values, and ask for retraining if they are worse than the seasonal naive.

    Parameters
    ----------
    recipe
        A deployment of `monitor` in the catalogue.
    """
    run_command(
        monitor_flow,
        recipe,
        changes,
        json_file,
        check=check_monitoring,
        load_libraries=load_monitoring_libraries,
    )


def check_monitoring(options: dict[str, Any]) -> "tuple[SeriesSpec, Series]":
    """Find the model and a forecast of it, and read the actual values, before anything is started or written.

    Returns the series of actual values.

    **Raises:** `InputError`.
    """
    from tasks.data.series import read_series
    from tasks.forecasting import source_of
    from tasks.monitoring import read_forecasts

    version = find_model(options)
    source = source_of(version, options["series"])
    actuals = read_series.fn(source)
    read_forecasts.fn(version.name, most=1)
    return source, actuals


def load_monitoring_libraries(_: dict[str, Any]) -> None:
    """Import what the tasks need."""
    from tasks import monitoring, recording  # noqa: F401

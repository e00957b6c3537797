"""The command `tidecast monitor`: past forecasts against what came."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from flows.commands.running import (
    changed_options,
    find_model,
    recipe_options,
    refuse_json_file,
    run_flow,
    write_summary,
)
from flows.monitor import monitor as monitor_flow
from flows.parameters import options_of

MonitorOptions: type[BaseModel] = options_of(monitor_flow.fn)


def monitor(
    recipe: str | None = None,
    /,
    *,
    changes: Annotated[MonitorOptions | None, Parameter(name="*")] = None,  # type: ignore[valid-type]
    json_file: Annotated[Path | None, Parameter(name="--json")] = None,
) -> None:
    """What `tidecast monitor` does.

    Parameters
    ----------
    recipe
        A deployment of `monitor` in the catalogue.
    json_file
        Write a summary for scripts to this file.
    """
    options = recipe_options(MonitorOptions, "monitor", recipe, changed_options(changes))
    refuse_json_file(json_file)
    refuse_mistakes(options)
    summary = run_flow(monitor_flow, options, load_libraries)
    write_summary(summary, json_file)
    show(summary)


def refuse_mistakes(options: dict[str, Any]) -> None:
    """Find the model, its forecasts and the actual values before anything is started or written.

    **Raises:** `InputError`.
    """
    from tasks.data.series import read_series
    from tasks.forecasting import source_of
    from tasks.monitoring import read_forecasts

    version = find_model(options)
    read_series.fn(source_of(version, options["series"]))
    read_forecasts.fn(version.name, most=1)


def load_libraries() -> None:
    """Import what the tasks need."""
    from tasks import monitoring, recording  # noqa: F401


def show(summary: dict[str, Any]) -> None:
    """Say how the forecasts did, and where it is kept."""
    from tasks.tracking.files import artifact_folder, relative_to_here

    screen = Console(markup=False)
    if summary["forecasts"]:
        table = Table(title="RMSE of the latest forecasts, in the series' own units", title_justify="left")
        for name in summary["forecasts"][0]:
            table.add_column(name, justify="left" if name == "cutoff" else "right")
        for row in summary["forecasts"]:
            table.add_row(*row.values())
        screen.print(table)
    screen.print(f"{summary['model']}: {summary['health']}: {summary['reason']}.", highlight=False, soft_wrap=True)
    screen.print(f"  kept in {relative_to_here(artifact_folder(summary['run_id']))}", highlight=False, soft_wrap=True)

"""The command `tidecast forecast`: the champion found and the rows read before anything is started."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from pydantic import BaseModel
from rich.console import Console

from flows.commands.running import (
    changed_options,
    find_model,
    recipe_options,
    refuse_json_file,
    refuse_output,
    run_flow,
    write_summary,
)
from flows.forecast import forecast as forecast_flow
from flows.parameters import options_of

ForecastOptions: type[BaseModel] = options_of(forecast_flow.fn)


def forecast(
    recipe: str | None = None,
    /,
    *,
    changes: Annotated[ForecastOptions | None, Parameter(name="*")] = None,  # type: ignore[valid-type]
    json_file: Annotated[Path | None, Parameter(name="--json")] = None,
) -> None:
    """What `tidecast forecast` does.

    Parameters
    ----------
    recipe
        A deployment of `forecast` in the catalogue.
    json_file
        Write a summary for scripts to this file.
    """
    options = recipe_options(ForecastOptions, "forecast", recipe, changed_options(changes))
    refuse_json_file(json_file)
    refuse_mistakes(options)
    summary = run_flow(forecast_flow, options, load_libraries)
    write_summary(summary, json_file)
    show(summary)


def refuse_mistakes(options: dict[str, Any]) -> None:
    """Find the model and read the rows before anything is started or written.

    **Raises:** `InputError`.
    """
    from tasks.data.series import read_series
    from tasks.forecasting import refuse_missing_rows, source_of

    refuse_output(options["output"])
    version = find_model(options)
    refuse_missing_rows(version, read_series.fn(source_of(version, options["series"])), options["horizon"])


def load_libraries() -> None:
    """Import what the tasks need."""
    from models import recurrent  # noqa: F401
    from tasks import forecasting, recording  # noqa: F401


def show(summary: dict[str, Any]) -> None:
    """Say what was forecast, and where it lies."""
    from tasks.tracking.files import artifact_folder, relative_to_here

    many = f" of each of {summary['series']} series" if summary["series"] > 1 else ""
    steps = summary["rows"] // summary["series"]
    lines = [
        f"{summary['model']}, version {summary['version']} ({summary['column']}): {steps} steps{many} beyond "
        f"{summary['cutoff']}, up to {summary['last']}.",
        f"  kept in   {relative_to_here(artifact_folder(summary['run_id']))}",
    ]
    if summary["output"]:
        lines.append(f"  written to {summary['output']}")
    Console(markup=False).print("\n".join(lines), highlight=False, soft_wrap=True)

"""Run a flow from the command line: options checked, Prefect started, the summary written and shown.

Libraries that take seconds to import are imported where they are used: help and mistakes are answered without them, and
a run imports them while Prefect's server starts.
"""

import gc
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from cyclopts import Parameter
from prefect import Flow
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, get_current_settings, temporary_settings
from pydantic import BaseModel
from rich.console import Console

from flows.catalogue import change, recipe_parameters
from flows.commands.checks import refuse_json_file
from flows.parameters import options_of
from flows.services.ephemeral_server import EphemeralServer
from flows.startup import STARTED
from models.errors import InputError
from models.specs import SeriesSpec

if TYPE_CHECKING:  # takes seconds
    from tasks.data.series import Series

Options = TypeVar("Options", bound=BaseModel)
Changes = Annotated[Options | None, Parameter(name="*")]
"""The options of a flow that a command changes, each a flag of its own."""
JsonFile = Annotated[Path | None, Parameter(name="--json", help="Write a summary for scripts to this file.")]
Summary = dict[str, Any]
EXAMPLE = "sine"
"""The recipe of a training or a backtest for which neither a recipe nor a series is given."""


def run_command(
    flow: Flow[..., Summary],
    recipe: str | None,
    changes: BaseModel | None,
    json_file: Path | None,
    *,
    check: Callable[[dict[str, Any]], "tuple[SeriesSpec, Series]"],
    load_libraries: Callable[[dict[str, Any]], None],
) -> None:
    """Run a flow with a recipe and the user's changes; write its summary to `json_file`, and print its report.

    `check` raises the user's mistakes before anything is started or written. It returns the series that it has read,
    which the flow then uses: the file is read once. `load_libraries` runs while Prefect's server starts.

    **Raises:** `InputError` or `ValidationError` for a mistake of the user.
    """
    options = recipe_options(flow, recipe, changes)
    refuse_json_file(json_file)
    spec, series = check(options)
    from tasks.data.series import series_at_hand

    with prefect_server_ready(partial(load_libraries, options)), series_at_hand(spec, series):
        summary = flow(**options)
    if "seconds" in summary:
        total = time.perf_counter() - STARTED
        summary["seconds"] |= {"start": total - summary["seconds"].pop("flow"), "total": total}
    write_summary(summary, json_file)
    print_report(flow.name, summary)


def recipe_options(flow: Flow[..., Summary], recipe: str | None, changes: BaseModel | None) -> dict[str, Any]:
    """Return a flow's parameters: those of the recipe, if one is named, with the user's changes.

    **Raises:** `InputError` for an unknown recipe, `ValidationError` for an option out of bounds.
    """
    changed = changes.model_dump(exclude_unset=True) if changes else {}
    records_recipe = "recipe" in flow.parameters.properties
    if records_recipe and "series" not in changed:
        recipe = recipe or EXAMPLE
    parameters = recipe_parameters(flow.name, recipe) if recipe else {}
    options = dict(options_of(flow.fn).model_validate(change(parameters, changed)))
    return {"recipe": recipe, **options} if records_recipe and recipe else options


@contextmanager
def prefect_server_ready(load_libraries: Callable[[], None]) -> Iterator[None]:
    """Start a Prefect server, unless the user names one, and load libraries meanwhile; the block can run flows."""
    server = None if get_current_settings().api.url else EphemeralServer()
    load_libraries()
    if server:
        server.wait()
    for handler in logging.getLogger().handlers:
        handler.addFilter(is_not_reported_by_command)
    gc.freeze()
    gc.enable()
    # No heartbeats to a server that ends with the command: waiting for the last one takes up to a second.
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None} if server else {}):
        yield


def is_not_reported_by_command(record: logging.LogRecord) -> bool:
    """Return False for errors that the command reports itself, in one line and without a traceback."""
    error = record.exc_info[1] if record.exc_info else None
    return not (isinstance(error, InputError | OSError) or record.getMessage().startswith("Finished in state Failed"))


def print_report(flow: str, summary: Summary) -> None:
    """Print what a person reads of a flow run: tables, and lines that are not wrapped."""
    from tasks.report import REPORTS

    screen = Console(markup=False)
    for part in REPORTS[flow](summary):
        screen.print(part, highlight=False, soft_wrap=isinstance(part, str))


def write_summary(summary: Summary, path: Path | None) -> None:
    """Write the summary as JSON, if a file is named."""
    from models.files import write_atomically
    from tasks.tracking.files import as_json

    if path:
        write_atomically(path, as_json(summary).encode())

"""Run a flow from the command line: a recipe with whatever the flags change, Prefect started, the summary written.

What takes seconds to import is imported where it is used: help and mistakes are answered without it, and a run imports
it while Prefect's server starts.
"""

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, get_current_settings, temporary_settings
from pydantic import BaseModel

from flows.catalogue import change, recipe_parameters
from flows.services.ephemeral_server import EphemeralServer
from models.errors import InputError

if TYPE_CHECKING:  # takes seconds
    from tasks.tracking.registry import Version

Options = TypeVar("Options", bound=BaseModel)
Summary = dict[str, Any]


def changed_options(changes: BaseModel | None) -> dict[str, Any]:
    """What the user gave, and nothing else."""
    return changes.model_dump(exclude_unset=True) if changes else {}


def recipe_options(kind: type[Options], flow: str, recipe: str | None, changed: dict[str, Any]) -> dict[str, Any]:
    """A flow's options: those of the recipe, where one is named, with what the user changed.

    **Raises:** `InputError` for an unknown recipe, `ValidationError` for an option out of bounds.
    """
    parameters = recipe_parameters(flow, recipe) if recipe else {}
    return dict(kind.model_validate(change(parameters, changed)))


def refuse_json_file(path: Path | None) -> None:
    """**Raises:** `InputError` where the summary could not be written to `path`."""
    if path and path.is_dir():
        raise InputError(f"--json {path} is a folder; name a file in it")
    if path and not path.parent.is_dir():
        raise InputError(f"--json {path}: there is no folder {path.parent}; make it first")


def refuse_output(output: str | None) -> None:
    """**Raises:** `InputError` where a table could not be written there for lack of the folder."""
    if output and "://" not in output and not Path(output).parent.is_dir():
        raise InputError(f"--output {output}: there is no folder {Path(output).parent}; make it first")


def find_model(options: dict[str, Any]) -> "Version":
    """The version that the option `model` names; where it names none, it then names the only champion.

    **Raises:** `InputError` where there is none.
    """
    from tasks.tracking.registry import find_version
    from tasks.tracking.tracker import refuse_missing_database

    refuse_missing_database()
    version = find_version(options["model"])
    options["model"] = options["model"] or version.name
    return version


def run_flow(flow: Callable[..., Summary], options: dict[str, Any], load: Callable[[], None]) -> Summary:
    """Start Prefect's server, where the user names none, call `load` meanwhile, and run the flow."""
    with prefect_server_ready(load):
        return flow(**options)


@contextmanager
def prefect_server_ready(load: Callable[[], None]) -> Iterator[None]:
    """Start Prefect's server, where the user names none, and import meanwhile what the flows are about to use."""
    own = None if get_current_settings().api.url else EphemeralServer()
    load()
    if own:
        own.wait()
    for handler in logging.getLogger().handlers:
        handler.addFilter(is_not_reported_by_command)
    gc.freeze()
    gc.enable()
    # No heartbeat to a server that ends with the run: waiting for the last beat takes up to a second.
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None} if own else {}):
        yield


def is_not_reported_by_command(record: logging.LogRecord) -> bool:
    """Whether the command itself does not end with what Prefect logs, in one line and without a traceback."""
    error = record.exc_info[1] if record.exc_info else None
    return not (isinstance(error, InputError | OSError) or record.getMessage().startswith("Finished in state Failed"))


def write_summary(summary: Summary, path: Path | None) -> None:
    """Write the summary where a script wants it."""
    from models.files import write_atomically
    from tasks.tracking.files import as_json

    if path:
        write_atomically(path, as_json(summary).encode())

"""The commands of `tidecast`, gathered. A command's file is imported only when the command is called."""

import ast
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclopts import App, CycloptsError, Parameter
from pydantic import ValidationError

from flows.commands.mistakes import first_mistake
from models.errors import InputError
from tasks.credentials import redacted

COMMANDS = ("train", "backtest", "forecast", "monitor", "add", "up", "worker", "sync", "recipes")
"""Each is the function of this name in the file of this name."""


def displayed_default(default: Any) -> Any:
    """Return a default as the help shows it: a list joined by commas, and nothing for an empty one."""
    return (",".join(default) or None) if isinstance(default, list | tuple) else default


def help_of(command: str) -> str:
    """Return the docstring of a command without its section of parameters.

    It is read from the source: to import all commands for `tidecast --help` would take seconds.
    """
    source = (Path(__file__).parent / f"{command}.py").read_text()
    functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    (function,) = (function for function in functions if function.name == command)
    return str(ast.get_docstring(function)).partition("\nParameters\n")[0].strip()


app = App(
    name="tidecast",
    help="Recurrent forecasters, trained by Prefect flows and tracked in MLflow.",
    default_parameter=Parameter(negative=(), show_default=displayed_default),
    suppress_keyboard_interrupt=False,
)
for name in COMMANDS:
    app.command(f"flows.commands.{name}:{name}", help=help_of(name))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status; a user's mistake is one line on standard error."""
    show_progress()
    folder = Path.cwd()  # asked now, since it may be gone when an error is reported
    try:
        app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except InputError as mistake:
        return refuse(str(mistake))
    except ValidationError as mistake:
        return refuse(first_mistake(mistake))
    except CycloptsError as mistake:
        cause = mistake.__cause__
        return refuse(first_mistake(cause) if isinstance(cause, ValidationError) else str(mistake))
    except OSError as error:  # of a disk, or of an MLflow server that does not answer
        return refuse(f"{folder / str(error.filename)}: {error.strerror}" if error.filename else str(error), status=1)
    except KeyboardInterrupt:
        return refuse("interrupted", status=130)
    return 0


def show_progress() -> None:
    """Print what the tasks log on standard error, one plain line for each message."""
    log = logging.getLogger("tidecast")
    log.propagate = False
    log.handlers = [logging.StreamHandler()]


def refuse(reason: str, status: int = 2) -> int:
    """Print in one line why there is no result, without passwords; returns the exit status."""
    print("tidecast:", redacted(" ".join(reason.split())), file=sys.stderr)
    return status

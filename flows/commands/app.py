"""The commands of `tidecast`, and what becomes of a user's mistake. Each imports what it needs when it is called."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclopts import App, CycloptsError, Parameter
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from flows.catalogue import all_recipes
from flows.commands.mistakes import first_mistake
from models.errors import InputError
from tasks.credentials import redacted


def shown_default(default: Any) -> Any:
    """A default as the help shows it; none where there is none."""
    return (",".join(default) or None) if isinstance(default, list | tuple) else default


app = App(
    name="tidecast",
    help="Recurrent forecasters, trained by Prefect flows and tracked in MLflow.",
    default_parameter=Parameter(negative=(), show_default=shown_default),
    suppress_keyboard_interrupt=False,
)
app.command(
    "flows.commands.train:train",
    help="""Train models on a series, compare them with the naive baselines, and record it all in MLflow.

    A default that is shown holds where neither the recipe nor a flag says otherwise.
    """,
)
app.command(
    "flows.commands.backtest:backtest",
    help="""Train models, forecast from rolling origins over the test part, and score them beside the naive baselines.

    A default that is shown holds where neither the recipe nor a flag says otherwise.
    """,
)
app.command(
    "flows.commands.forecast:forecast",
    help="""Forecast a series beyond its last row with its champion, and keep what was forecast in MLflow.

    The rows are read afresh from where the model was trained, or from what --series names instead.
    """,
)
app.command(
    "flows.commands.monitor:monitor",
    help="Score past forecasts against what came, and raise the alarm where they are worse than the seasonal naive.",
)
app.command(
    "flows.commands.up:up",
    help="""Run Prefect, MLflow, workers and all recipes on this machine, until Ctrl-C.

    What they keep lies in this folder: prefect.db, mlflow.db, artifacts/, and .tidecast/ with the logs. Settings of
    Prefect and MLflow in the environment, such as the URL of a PostgreSQL database, come first. Ctrl-C, or a signal to
    end, ends flow runs, workers and servers in this order; the exit status is 0 then, and 1 where one of them was lost.
    """,
)
app.command(
    "flows.commands.worker:worker",
    help="""Take flow runs from Prefect: one worker for each GPU, or one for the CPU, until Ctrl-C.

    PREFECT_API_URL says where Prefect is, and MLFLOW_TRACKING_URI where runs are recorded; in the folder of a
    `tidecast up` that runs, both are known.
    """,
)
app.command(
    "flows.commands.sync:sync",
    help="""Deliver to MLflow what it could not take when a run of this folder ended.

    Nothing is trained again: the run goes on where it stopped, and is compared and registered as any other. Runs whose
    process was killed are closed.
    """,
)


@app.command(name="recipes")
def list_recipes() -> None:
    """List what can be trained and backtested."""
    table = Table("recipe", "models", "what it is", box=None)
    for recipe in all_recipes().values():
        table.add_row(recipe.name, ", ".join(recipe.parameters["models"]), recipe.description)
    Console().print(table)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status; a user's mistake is one line on standard error."""
    show_progress()
    here = Path.cwd()  # which may be gone later
    try:
        app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except InputError as mistake:
        return refuse(str(mistake))
    except ValidationError as mistake:
        return refuse(first_mistake(mistake))
    except CycloptsError as mistake:
        cause = mistake.__cause__
        return refuse(first_mistake(cause) if isinstance(cause, ValidationError) else str(mistake))
    except OSError as error:  # of a disk, or a tracker that is away
        return refuse(f"{here / str(error.filename)}: {error.strerror}" if error.filename else str(error), status=1)
    except KeyboardInterrupt:
        return refuse("interrupted", status=130)
    return 0


def show_progress() -> None:
    """Send what the tasks report to standard error, a plain line each."""
    log = logging.getLogger("tidecast")
    log.propagate = False
    log.handlers = [logging.StreamHandler()]


def refuse(line: str, status: int = 2) -> int:
    """Say in one line why there is no result."""
    print("tidecast:", redacted(" ".join(line.split())), file=sys.stderr)
    return status

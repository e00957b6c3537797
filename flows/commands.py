"""The commands of `tidecast`: recipes from the catalogue, with whatever the flags change."""

import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import psutil
from cyclopts import App, CycloptsError, Parameter
from pydantic import BaseModel, ValidationError
from rich.console import Console
from rich.table import Table

from flows.catalogue import change, recipe_parameters, recipes
from flows.options import first_mistake, options_of
from flows.train import train as train_flow
from models.checkpoints import write_whole
from models.elman import refuse_several_series
from models.errors import InputError
from models.forecaster import build_network
from models.specs import RECURRENT, ModelSpec
from tasks.preparation import prepare_data
from tasks.report import comparison_table, where_to_look
from tasks.series import read_series
from tasks.training import choose_device


def shown_default(default: Any) -> Any:
    """A default as the help shows it; none where there is none."""
    return ",".join(default) if isinstance(default, list) else default


app = App(
    name="tidecast",
    help="Recurrent forecasters, trained by Prefect flows and tracked in MLflow.",
    default_parameter=Parameter(negative=(), show_default=shown_default),
    suppress_keyboard_interrupt=False,
)
TrainOptions: type[BaseModel] = options_of(train_flow.fn)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status; a user's mistake is one line on standard error."""
    show_progress()
    try:
        app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except InputError as mistake:
        return refuse(str(mistake))
    except ValidationError as mistake:
        return refuse(first_mistake(mistake))
    except CycloptsError as mistake:
        cause = mistake.__cause__
        return refuse(first_mistake(cause) if isinstance(cause, ValidationError) else str(mistake))
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
    print("tidecast:", " ".join(line.split()), file=sys.stderr)
    return status


@app.command
def train(
    recipe: str | None = None,
    /,
    *,
    changes: Annotated[TrainOptions | None, Parameter(name="*")] = None,  # type: ignore[valid-type]
    json_file: Annotated[Path | None, Parameter(name="--json")] = None,
) -> None:
    """Train models on a series, compare them with the naive baselines, and record it all in MLflow.

    A default that is shown holds where neither the recipe nor a flag says otherwise.

    Parameters
    ----------
    recipe
        A recipe of the catalogue, as `tidecast recipes` lists them; `sine` where no series is given either.
    json_file
        Write a summary for scripts to this file.
    """
    changed: dict[str, Any] = changes.model_dump(exclude_unset=True) if changes else {}  # type: ignore[attr-defined]
    name = recipe or ("custom" if "series" in changed else "sine")
    parameters = recipe_parameters("train", name) if name != "custom" else {}
    options = dict(TrainOptions.model_validate(change(parameters, changed)))
    refuse_mistakes(options, json_file)
    summary = train_flow(recipe=name, **options)
    total = time.time() - psutil.Process(os.getpid()).create_time()
    summary["seconds"] |= {"start": total - summary["seconds"].pop("flow"), "total": total}
    if json_file:
        write_whole(json_file, json.dumps(summary, indent=2).encode())
    screen = Console()
    screen.print(comparison_table(summary))
    screen.print(where_to_look(summary), highlight=False, soft_wrap=True)


@app.command(name="recipes")
def list_recipes() -> None:
    """List what can be trained."""
    table = Table("recipe", "models", "what it is", box=None)
    for recipe in recipes("train").values():
        table.add_row(recipe.name, ", ".join(recipe.parameters["models"]), recipe.description)
    Console().print(table)


def refuse_mistakes(options: dict[str, Any], json_file: Path | None) -> None:
    """Find the user's mistakes before anything is started or written.

    **Raises:** `InputError`.
    """
    if json_file and json_file.is_dir():
        raise InputError(f"--json {json_file} is a folder; name a file in it")
    if json_file and not json_file.parent.is_dir():
        raise InputError(f"--json {json_file}: there is no folder {json_file.parent}; make it first")
    choose_device(options["device"], options["models"])
    series = read_series.fn(options["series"])
    data = prepare_data.fn(series, options["window"], options["split"], options["season"], options["free_run"])
    for model in set(options["models"]) - set(RECURRENT):
        build_network(ModelSpec(model=model, window=options["window"]))
    if "elman" in options["models"]:
        refuse_several_series(data.panel)

"""The command `tidecast train`: checked, run and reported."""

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from pydantic import BaseModel
from rich.console import Console

from flows.cli import STARTED
from flows.commands.running import changed_options, recipe_options, refuse_json_file, run_flow, write_summary
from flows.parameters import options_of
from flows.train import train as train_flow
from models.specs import RECURRENT, ModelSpec

if TYPE_CHECKING:  # takes a second
    from tasks.data.preparation import Dataset

TrainOptions: type[BaseModel] = options_of(train_flow.fn)


def train(
    recipe: str | None = None,
    /,
    *,
    changes: Annotated[TrainOptions | None, Parameter(name="*")] = None,  # type: ignore[valid-type]
    json_file: Annotated[Path | None, Parameter(name="--json")] = None,
) -> None:
    """What `tidecast train` does.

    Parameters
    ----------
    recipe
        A recipe of the catalogue, as `tidecast recipes` lists them; `sine` where no series is given either.
    json_file
        Write a summary for scripts to this file.
    """
    changed = changed_options(changes)
    name = recipe or (None if "series" in changed else "sine")
    options = recipe_options(TrainOptions, "train", name, changed)
    refuse_json_file(json_file)
    refuse_misfits(options)
    summary = run_flow(train_flow, {"recipe": name or "custom", **options}, partial(load_libraries, options["models"]))
    total = time.perf_counter() - STARTED
    summary["seconds"] |= {"start": total - summary["seconds"].pop("flow"), "total": total}
    write_summary(summary, json_file)
    show(summary)


def refuse_misfits(options: dict[str, Any]) -> "Dataset":
    """Find the user's mistakes before anything is started or written; the data that the options ask for.

    **Raises:** `InputError`.
    """
    from models.forecaster import refuse_misfit
    from tasks.data.preparation import prepare_data
    from tasks.data.series import read_series

    if options["device"] == "cuda" or options["fit"].precision != "float32":
        from models.population.arithmetic import check_precision
        from tasks.training import choose_device

        device = choose_device(options["device"], options["models"])
        if set(options["models"]) & set(RECURRENT):
            check_precision(options["fit"].precision, device)
    series = read_series.fn(options["series"])
    data = prepare_data.fn(series, options["window"], options["split"], options["season"], options["free_run"])
    for model in options["models"]:
        given = {name: options[name] for name in ("window", "recurrent", "fit")}
        refuse_misfit(ModelSpec(model=model, season=data.season, **given), data.panel)
    return data


def load_libraries(names: list[str]) -> None:
    """Import what the tasks need, with the compiled cells, and open MLflow's database."""
    from models.forecaster import build_network
    from tasks import drawing, recording  # noqa: F401
    from tasks.tracking.tracker import TRACKER

    for name in set(names) & set(RECURRENT):
        build_network(ModelSpec(model=name))
    TRACKER.ask(lambda client: client.search_experiments(max_results=1), patience=0.0)  # nothing is lost yet


def show(summary: dict[str, Any]) -> None:
    """Show the summary to who waits for it."""
    from tasks.report import report_training

    screen = Console(markup=False)
    for part in report_training(summary):
        screen.print(part, highlight=False, soft_wrap=isinstance(part, str))

"""The command `tidecast train`: a recipe with whatever the flags change, checked, run and reported.

What takes seconds to import is imported where it is used: help and mistakes are answered without it, and a run imports
it while Prefect's server starts.
"""

import gc
import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, get_current_settings, temporary_settings
from pydantic import BaseModel
from rich.console import Console

from flows.catalogue import change, recipe_parameters
from flows.cli import BEGAN
from flows.commands.options import options_of
from flows.train import train as train_flow
from models.errors import InputError
from models.specs import RECURRENT, ModelSpec

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
    changed: dict[str, Any] = changes.model_dump(exclude_unset=True) if changes else {}  # type: ignore[attr-defined]
    name = recipe or ("custom" if "series" in changed else "sine")
    parameters = recipe_parameters("train", name) if name != "custom" else {}
    options = dict(TrainOptions.model_validate(change(parameters, changed)))
    refuse_mistakes(options, json_file)
    start_up(options["models"])
    with heartbeat_where_it_is_heard():
        summary = train_flow(recipe=name, **options)
    total = time.perf_counter() - BEGAN
    summary["seconds"] |= {"start": total - summary["seconds"].pop("flow"), "total": total}
    show(summary, json_file)


def refuse_mistakes(options: dict[str, Any], json_file: Path | None) -> None:
    """Find the user's mistakes before anything is started or written.

    **Raises:** `InputError`.
    """
    from models.elman import refuse_several_series
    from models.forecaster import build_network
    from tasks.preparation import prepare_data
    from tasks.series import read_series

    if json_file and json_file.is_dir():
        raise InputError(f"--json {json_file} is a folder; name a file in it")
    if json_file and not json_file.parent.is_dir():
        raise InputError(f"--json {json_file}: there is no folder {json_file.parent}; make it first")
    if options["device"] == "cuda" or options["fit"].precision != "float32":
        from models.arithmetic import check_precision
        from tasks.training import choose_device

        device = choose_device(options["device"], options["models"])
        if set(options["models"]) & set(RECURRENT):
            check_precision(options["fit"].precision, device)
    series = read_series.fn(options["series"])
    data = prepare_data.fn(series, options["window"], options["split"], options["season"], options["free_run"])
    for model in set(options["models"]) - set(RECURRENT):
        build_network(ModelSpec(model=model, window=options["window"]))
    if "elman" in options["models"]:
        refuse_several_series(data.panel)


def start_up(names: list[str]) -> None:
    """Start Prefect's server, where the user names none, and import meanwhile what the flow is about to use."""
    if not get_current_settings().api.url:
        import prefect.server.api.server  # noqa: F401  # the client would, but two threads should not import at a time
    with ThreadPoolExecutor(1) as aside:
        loading = aside.submit(load_libraries, names)
        with interrupts_kept_from_children():
            get_client(sync_client=True)  # waits until the server answers
        loading.result()
    gc.freeze()
    gc.enable()


@contextmanager
def interrupts_kept_from_children() -> Iterator[None]:
    """Processes started meanwhile never see a terminal's Ctrl-C, which goes to all of them at once.

    The server is still needed then, to be told how the run ended; it is stopped behind that. This process is still
    interrupted: another thread takes the signal, which this one blocks and its children inherit as blocked.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def load_libraries(names: list[str]) -> None:
    """Import what the tasks need, with the compiled cells, and open MLflow's database."""
    from models.forecaster import build_network
    from tasks import drawing, recording  # noqa: F401
    from tasks.tracking.client import connect

    for name in set(names) & set(RECURRENT):
        build_network(ModelSpec(model=name))
    connect().search_experiments(max_results=1)


@contextmanager
def heartbeat_where_it_is_heard() -> Iterator[None]:
    """No heartbeat to a server that ends with the run: waiting for the last beat takes up to a second."""
    own = not get_current_settings().api.url
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None} if own else {}):
        yield


def show(summary: dict[str, Any], json_file: Path | None) -> None:
    """Write the summary where a script wants it, and show it to who waits for it."""
    from models.checkpoints import write_whole
    from tasks.report import comparison_table, where_to_look

    if json_file:
        write_whole(json_file, json.dumps(summary, indent=2).encode())
    screen = Console()
    screen.print(comparison_table(summary))
    screen.print(where_to_look(summary), highlight=False, soft_wrap=True)

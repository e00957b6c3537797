"""The command `tidecast sync`: delivers the records of runs whose tracker was away when they ended."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from prefect.settings import get_current_settings
from rich.console import Console

from flows.backtest import backtest
from flows.commands.running import prefect_server_ready
from flows.train import train
from models.errors import InputError
from models.specs import SeriesSpec

FLOWS: dict[str, Callable[..., dict[str, Any]]] = {"train": train, "backtest": backtest}


def sync() -> None:
    """What `tidecast sync` does."""
    from tasks.resuming.run_state import RUN_STATES, outdated_run_states, read_run_state, undelivered_run_states

    waiting, mistakes, outdated = undelivered_run_states(), list[str](), outdated_run_states()
    say = Console(highlight=False, markup=False, soft_wrap=True).print
    if not waiting and not outdated:
        say(f"Nothing waits in {RUN_STATES} to be delivered.")
    with prefect_server_ready(load_libraries) if waiting else nullcontext():
        for folder in waiting:
            run_state = read_run_state(folder)
            try:
                refuse_changed_data(folder, run_state)
            except InputError as mistake:  # the others can be delivered
                mistakes.append(str(mistake))
                continue
            summary = FLOWS[run_state["flow"]](**run_state["parameters"])
            say(f"Delivered: {run_state['flow']} {summary['recipe']}, as run {summary['parent_run_id']}")
    close_dead(say)
    if outdated:
        mistakes.append(
            f"{', '.join(map(str, outdated))} cannot be delivered: an earlier version of Tidecast left it in a "
            "format that this version cannot read; remove the folder and start the run anew"
        )
    if mistakes:
        raise InputError("; ".join(mistakes))


def close_dead(say: Callable[[str], object]) -> None:
    """Close the runs whose process was killed, with their flow runs where a Prefect server is named."""
    from tasks.tracking.tracker import refuse_missing_database

    try:
        refuse_missing_database()
    except InputError:  # nothing was recorded here
        return
    from tasks.orphans import crash_orphaned_flow_runs
    from tasks.tracking.orphans import close_orphaned_runs
    from tasks.tracking.tracker import TRACKER

    dead = TRACKER.ask(close_orphaned_runs)
    crashed = crash_orphaned_flow_runs(dead) if get_current_settings().api.url else 0
    if dead:
        say(f"Closed what was left open by processes that are gone: {len(dead)} in MLflow, {crashed} in Prefect")


def refuse_changed_data(folder: Path, run_state: dict[str, Any]) -> None:
    """**Raises:** `InputError` where the data or the code has changed, so that the same would not come of it again."""
    from tasks.data.series import read_series
    from tasks.resuming.run_state import resume_key

    series = read_series.fn(SeriesSpec.model_validate(run_state["parameters"]["series"]))
    if folder.name.rpartition("-")[0] != resume_key(
        run_state["flow"], run_state["parameters"], series.sha256, run_state["device"]
    ):
        raise InputError(
            f"{folder} cannot be delivered whole: {series.source} or the code has changed since; put back what was "
            "there, or remove the folder and start the run anew"
        )


def load_libraries() -> None:
    """Import what the tasks need."""
    from tasks import drawing, recording  # noqa: F401
    from tasks.backtest import recording as backtest_recording  # noqa: F401

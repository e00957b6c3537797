"""The command `tidecast sync`."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect.settings import get_current_settings
from rich.console import Console

from flows.backtest import backtest
from flows.commands.running import prefect_server_ready
from flows.services.cleanup import report_cleanup
from flows.train import train
from models.errors import InputError
from models.specs import SeriesSpec

if TYPE_CHECKING:  # takes a second
    from tasks.data.series import Series

FLOWS: dict[str, Callable[..., dict[str, Any]]] = {"train": train, "backtest": backtest}


def sync() -> None:
    """Deliver to MLflow what could not be recorded when a run of this folder ended.

    Nothing is trained again: the run continues where it stopped, and is compared and registered as usual. Runs whose
    process was killed are closed.
    """
    from tasks.resuming.run_state import RUN_STATES, outdated_run_states, read_run_state, undelivered_run_states

    undelivered, outdated, mistakes = undelivered_run_states(), outdated_run_states(), list[str]()
    say = Console(highlight=False, markup=False, soft_wrap=True).print
    if not undelivered and not outdated:
        say(f"Nothing waits in {RUN_STATES} to be delivered.")
    with prefect_server_ready(load_delivery_libraries) if undelivered else nullcontext():
        for folder in undelivered:
            run_state = read_run_state(folder)
            try:
                spec, series = read_unchanged_series(folder, run_state)
            except InputError as mistake:  # the others can still be delivered
                mistakes.append(str(mistake))
                continue
            from tasks.data.series import series_at_hand

            with series_at_hand(spec, series):
                summary = FLOWS[run_state["flow"]](**run_state["parameters"])
            say(f"Delivered: {run_state['flow']} {summary['recipe']}, as run {summary['parent_run_id']}")
    close_killed_runs(say)
    if outdated:
        mistakes.append(
            f"{', '.join(map(str, outdated))} cannot be delivered: an earlier version of Tidecast left it in a "
            "format that this version cannot read; remove the folder and start the run anew"
        )
    if mistakes:
        raise InputError("; ".join(mistakes))


def close_killed_runs(say: Callable[[str], object]) -> None:
    """Close runs whose process was killed, and their flow runs if a Prefect server is named."""
    from tasks.tracking.tracker import refuse_missing_database

    try:
        refuse_missing_database()
    except InputError:  # nothing was recorded in this folder
        return
    from tasks.orphans import crash_orphaned_flow_runs
    from tasks.tracking.orphans import close_orphaned_runs
    from tasks.tracking.tracker import TRACKER

    orphaned = TRACKER.ask(close_orphaned_runs)
    crashed = crash_orphaned_flow_runs(orphaned) if get_current_settings().api.url else 0
    report_cleanup(say, len(orphaned), crashed)


def read_unchanged_series(folder: Path, run_state: dict[str, Any]) -> "tuple[SeriesSpec, Series]":
    """Read the series of a run state.

    **Raises:** `InputError` where the data or the code has changed since, so that the run would end differently.
    """
    from tasks.data.series import read_series
    from tasks.resuming.run_state import resume_key

    spec = SeriesSpec.model_validate(run_state["parameters"]["series"])
    series = read_series.fn(spec)
    if folder.name.rpartition("-")[0] != resume_key(
        run_state["flow"], run_state["parameters"], series.sha256, run_state["device"]
    ):
        raise InputError(
            f"{folder} cannot be delivered: {series.source} or the code has changed since; restore what has changed, "
            "or remove the folder and start the run again"
        )
    return spec, series


def load_delivery_libraries() -> None:
    """Import what the tasks need."""
    from tasks import drawing, recording  # noqa: F401
    from tasks.backtest import recording as backtest_recording  # noqa: F401

"""Close orphaned runs: in MLflow those whose process is gone, and in Prefect their flow runs."""

import logging
from collections.abc import Iterable
from uuid import UUID

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Crashed

from tasks.tracking.orphans import OrphanedRun, close_orphaned_runs
from tasks.tracking.tracker import TRACKER

log = logging.getLogger("tidecast")


@task(cache_policy=NO_CACHE)
def close_orphans() -> list[OrphanedRun]:
    """Close the runs that killed processes have left open, with a warning for each."""
    orphans = TRACKER.ask(close_orphaned_runs)
    crash_orphaned_flow_runs(orphans)
    for run in orphans:
        log.warning("run %s is closed as KILLED: %s", run.run_id, run.reason)
    return orphans


def crash_orphaned_flow_runs(orphans: Iterable[OrphanedRun]) -> int:
    """Mark the flow runs of orphaned runs as crashed, or cancelled where they were being cancelled; returns how many.

    Flow runs that are unknown to this Prefect server, have ended, or were resumed by another process are left alone.
    """
    crashed = 0
    with get_client(sync_client=True) as client:
        for run in orphans:
            try:
                flow_run = client.read_flow_run(UUID(run.flow_run_id)) if run.flow_run_id else None
            except ObjectNotFound:  # it was on another server, such as a temporary one
                continue
            end = end_of(flow_run.state, run) if flow_run and flow_run.state else None
            if flow_run and end:
                client.set_flow_run_state(flow_run.id, end, force=True)
                crashed += 1
    return crashed


def end_of(state: State, run: OrphanedRun) -> State | None:
    """Return the final state of the flow run of an orphaned run, given its present state; None if it goes on."""
    if state.is_cancelling():
        return Cancelled(message=f"{run.reason}.")
    started_by_lost_process = state.is_running() and state.timestamp.timestamp() < run.last_heartbeat + 1
    return Crashed(message=f"{run.reason}.") if started_by_lost_process else None

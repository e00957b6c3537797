"""Runs whose process is gone: closed in MLflow, and their flow runs in Prefect."""

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

log = logging.getLogger("tidecast")


@task(cache_policy=NO_CACHE)
def close_orphans() -> list[OrphanedRun]:
    """Close what a process that was killed has left open, and tell."""
    dead = close_orphaned_runs()
    crash_orphaned_flow_runs(dead)
    for run in dead:
        log.warning("run %s is closed as KILLED: %s", run.run_id, run.reason)
    return dead


def crash_orphaned_flow_runs(dead: Iterable[OrphanedRun]) -> int:
    """Mark their flow runs as crashed, where this server knows them and takes them for alive; how many.

    One that another process has taken up since is left alone, and one that somebody cancelled is cancelled.
    """
    crashed = 0
    with get_client(sync_client=True) as client:
        for run in dead:
            try:
                flow_run = client.read_flow_run(UUID(run.flow_run_id)) if run.flow_run_id else None
            except ObjectNotFound:  # of another server, such as one that ended with its flow run
                continue
            end = end_of(flow_run.state, run) if flow_run and flow_run.state else None
            if flow_run and end:
                client.set_flow_run_state(flow_run.id, end, force=True)
                crashed += 1
    return crashed


def end_of(state: State, run: OrphanedRun) -> State | None:
    """What becomes of a flow run in a state, once the process that recorded a run of it is gone."""
    if state.is_cancelling():
        return Cancelled(message=f"{run.reason}.")
    of_that_process = state.is_running() and state.timestamp.timestamp() < run.alive + 1
    return Crashed(message=f"{run.reason}.") if of_that_process else None

"""What killed processes and machines that went down have left open, closed by `tidecast up`: at its start, and on."""

import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress

PAUSE, SILENCE = 60.0, 180.0
"""Seconds between two sweeps, and without a report of a worker, after which it counts as gone."""


def clean_up(say: Callable[[str], object], heard: float, gone: Collection[str] = ()) -> None:
    """Close the runs in MLflow, and mark the flow runs in Prefect as crashed, whose process or worker is gone.

    `heard` is for how many seconds the servers could have been told that they live; of the workers in `gone` it is
    known that they do not. What a living process records stays.
    """
    from prefect.client.orchestration import get_client

    from flows.services.deployments import crash_lost_flow_runs, reporting_workers
    from tasks.orphans import crash_orphaned_flow_runs
    from tasks.tracking.orphans import close_orphaned_runs, recorded_flow_runs

    dead = close_orphaned_runs(heard)
    crashed = crash_orphaned_flow_runs(dead)
    with get_client(sync_client=True) as client:
        there = reporting_workers(client, SILENCE) if heard > SILENCE else None
        living = recorded_flow_runs()
        crashed += crash_lost_flow_runs(
            client, lambda worker: worker in gone or (there is not None and worker not in there), living
        )
    if dead or crashed:
        say(f"Closed what was left open by processes that are gone: {len(dead)} in MLflow, {crashed} in Prefect")


def keep_cleaning_up(say: Callable[[str], object]) -> None:
    """Sweep now and then, aside, until this process ends."""
    began = time.monotonic()

    def work() -> None:
        while True:
            time.sleep(PAUSE)
            with suppress(Exception):  # of a server that is busy, or ends: the next time
                clean_up(say, time.monotonic() - began)

    threading.Thread(target=work, name="sweep", daemon=True).start()

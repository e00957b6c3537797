"""The cleanup of `tidecast up`, at its start and every minute: it closes what lost processes and workers left open."""

import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress

PAUSE, SILENCE = 60.0, 180.0
"""Seconds between two cleanups, and seconds without a report after which a worker counts as gone."""


def clean_up(say: Callable[[str], object], listening_seconds: float, gone: Collection[str] = ()) -> None:
    """Close runs in MLflow, and mark flow runs in Prefect as crashed, whose process or worker is gone.

    `listening_seconds` says for how long the servers have been able to receive reports. The workers in `gone` count as
    gone in any case. Whatever a living process records stays.
    """
    from prefect.client.orchestration import get_client

    from flows.services.deployments import crash_lost_flow_runs, reporting_workers
    from tasks.orphans import crash_orphaned_flow_runs
    from tasks.tracking.orphans import close_orphaned_runs, recorded_flow_runs
    from tasks.tracking.tracker import TRACKER

    orphans = close_orphaned_runs(TRACKER.client(), listening_seconds)
    crashed = crash_orphaned_flow_runs(orphans)
    with get_client(sync_client=True) as client:
        reporting = reporting_workers(client, SILENCE) if listening_seconds > SILENCE else None
        living = recorded_flow_runs(TRACKER.client())
        crashed += crash_lost_flow_runs(
            client, lambda worker: worker in gone or (reporting is not None and worker not in reporting), living
        )
    report_cleanup(say, len(orphans), crashed)


def report_cleanup(say: Callable[[str], object], closed: int, crashed: int) -> None:
    """Say how many runs were closed in MLflow and how many flow runs were marked as crashed, if any."""
    if closed or crashed:
        say(f"Closed what was left open by processes that are gone: {closed} in MLflow, {crashed} in Prefect")


def keep_cleaning_up(say: Callable[[str], object]) -> None:
    """Start a thread that cleans up every minute until this process ends."""
    began = time.monotonic()

    def work() -> None:
        while True:
            time.sleep(PAUSE)
            with suppress(Exception):  # of a server that is busy or ends: the next cleanup may succeed
                clean_up(say, time.monotonic() - began)

    threading.Thread(target=work, name="cleanup", daemon=True).start()

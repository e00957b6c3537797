"""Orphaned runs: MLflow says that they run, but the process that recorded them is gone."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from tasks.tracking.entries import FLOW_RUN
from tasks.tracking.processes import host_and_number, is_gone
from tasks.tracking.runs import HEARTBEAT, PARENT, PROCESS

SILENCE = 600.0
"""Seconds without a heartbeat after which a process that cannot be seen from here counts as gone."""


@dataclass(frozen=True)
class OrphanedRun:
    """A run that was closed: its id, why, when its last heartbeat came, and the flow run that recorded it, if any."""

    run_id: str
    reason: str
    last_heartbeat: float
    flow_run_id: str | None


def close_orphaned_runs(client: MlflowClient, listening_seconds: float = math.inf) -> list[OrphanedRun]:
    """Close all orphaned runs as KILLED, with the runs below them; returns them.

    A process of this machine is looked up; of one on another machine, the last heartbeat counts. `listening_seconds`
    says for how long the tracker has been able to receive heartbeats.
    """
    closed = []
    for run in _running(client):
        tags = run.data.tags
        reason = reason_orphaned(tags, listening_seconds)
        if reason:
            children = f"tags.`{PARENT}` = '{run.info.run_id}' and attributes.status != 'FINISHED'"
            for open_run in [*_search_runs(client, children), run]:
                client.set_tag(open_run.info.run_id, "reason", reason)
                client.set_terminated(open_run.info.run_id, "KILLED")
            closed.append(OrphanedRun(run.info.run_id, reason, float(tags[HEARTBEAT]), tags.get(FLOW_RUN)))
    return closed


def recorded_flow_runs(client: MlflowClient) -> set[str]:
    """Return the ids of the flow runs whose runs are RUNNING: those alive, once orphaned runs are closed."""
    return {run.data.tags.get(FLOW_RUN, "") for run in _running(client)}


def reason_orphaned(tags: Mapping[str, str], listening_seconds: float) -> str:
    """Return why the process named in a run's tags counts as gone; empty if it lives, or may live."""
    gone, (host, number) = is_gone(tags[PROCESS]), host_and_number(tags[PROCESS])
    if gone:
        return f"process {number} of {host} is gone: killed, or the machine went down"
    silent_seconds = min(time.time() - float(tags[HEARTBEAT]), listening_seconds)
    if gone is None and silent_seconds > SILENCE:
        return f"{host} has sent no heartbeat for {silent_seconds / 60:.0f} minutes"
    return ""


def _running(client: MlflowClient) -> list[Run]:
    """Return the RUNNING runs of flow runs, without those of their models."""
    runs = _search_runs(client, "attributes.status = 'RUNNING'")
    return [run for run in runs if {PROCESS, HEARTBEAT} <= set(run.data.tags) and PARENT not in run.data.tags]


def _search_runs(client: MlflowClient, condition: str) -> list[Run]:
    """Return all runs of all experiments that meet a condition."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs, token = list[Run](), None
    while experiments:
        page = client.search_runs(experiments, condition, page_token=token)
        runs += page
        token = page.token
        if not token:
            break
    return runs

"""Runs whose process is gone without a word: found, and closed with the truth."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from tasks.tracking.processes import host_and_number, is_gone
from tasks.tracking.runs import HEARTBEAT, PROCESS
from tasks.tracking.tracker import connect

SILENCE = 600.0
"""Seconds without a sign of life, after which a run that cannot be looked for counts as dead."""
FLOW_RUN = "prefect.flow_run_id"


@dataclass(frozen=True)
class OrphanedRun:
    """A run that was closed: its id, why, its last sign of life, and the flow run that recorded it, if any."""

    run_id: str
    reason: str
    alive: float
    flow_run_id: str | None


def close_orphaned_runs(heard: float = math.inf) -> list[OrphanedRun]:
    """Close as KILLED all runs that say they run and whose process does not; what they were.

    A process of this machine is looked for; of one elsewhere, a sign of life. `heard` is for how many seconds the
    tracker could have been told of one.
    """
    client, dead = connect(), []
    for run in _running(client):
        tags = run.data.tags
        reason = reason_orphaned(tags, heard)
        if reason:
            below = f"tags.`mlflow.parentRunId` = '{run.info.run_id}' and attributes.status != 'FINISHED'"
            for each in [*_runs(client, below), run]:
                client.set_tag(each.info.run_id, "reason", reason)
                client.set_terminated(each.info.run_id, "KILLED")
            dead.append(OrphanedRun(run.info.run_id, reason, float(tags[HEARTBEAT]), tags.get(FLOW_RUN)))
    return dead


def recorded_flow_runs() -> set[str]:
    """The flow runs of those runs that say they run: once the dead ones are closed, the living ones."""
    return {run.data.tags.get(FLOW_RUN, "") for run in _running(connect())}


def reason_orphaned(tags: Mapping[str, str], heard: float) -> str:
    """Why the process that a run's tags name is gone; nothing where it is not, for all that can be known."""
    gone, (host, number) = is_gone(tags[PROCESS]), host_and_number(tags[PROCESS])
    if gone:
        return f"process {number} of {host} is gone: killed, or the machine went down"
    silent = min(time.time() - float(tags[HEARTBEAT]), heard)
    if gone is None and silent > SILENCE:
        return f"{host} gave no sign of life for {silent / 60:.0f} minutes"
    return ""


def _running(client: MlflowClient) -> list[Run]:
    """The runs of flow runs that say they run."""
    runs = _runs(client, "attributes.status = 'RUNNING'")
    return [
        run for run in runs if {PROCESS, HEARTBEAT} <= set(run.data.tags) and "mlflow.parentRunId" not in run.data.tags
    ]


def _runs(client: MlflowClient, which: str) -> list[Run]:
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    found, token = list[Run](), None
    while experiments:
        page = client.search_runs(experiments, which, page_token=token)
        found += page
        token = page.token
        if not token:
            break
    return found

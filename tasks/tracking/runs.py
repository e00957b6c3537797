"""A flow run's run in MLflow, with one below it for each model: opened, resumed, and closed with its true status."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from mlflow.entities import Run, RunTag
from mlflow.tracking import MlflowClient

from tasks.credentials import redacted
from tasks.resuming.run_state import RunState
from tasks.timing import timed
from tasks.tracking.entries import log_tags
from tasks.tracking.errors import TrackerAwayError
from tasks.tracking.experiments import experiment_id
from tasks.tracking.processes import this_process
from tasks.tracking.tracker import TRACKER

PROCESS, HEARTBEAT, RUN_STATE = "tidecast.process", "tidecast.heartbeat", "tidecast.run_state"
"""Tags: the process that records the run, the time of its last heartbeat, and the id of the run state on disk."""
PARENT = "mlflow.parentRunId"
"""MLflow's own tag of a run below another one."""
HEARTBEAT_SECONDS = 60.0
"""Seconds between two heartbeats."""
LAST_PATIENCE = 15.0
"""Seconds for which a run that fails, or is told to end, tries to record this."""


@dataclass
class TrackedRun:
    """The id of an open run, the ids of its models' runs by model, and the models whose runs are finished."""

    id: str
    children: dict[str, str]
    finished: set[str] = field(default_factory=set)

    @contextmanager
    def child(self, name: str) -> Iterator[str]:
        """Yield the id of a model's run, which lasts as long as the block."""
        _post_status(self.children[name], "RUNNING")
        yield self.children[name]
        _post_status(self.children[name], "FINISHED")
        self.finished.add(name)

    def end(self, status: str, reason: str = "") -> None:
        """Close the run, and those of its models that are not finished."""
        for name, run_id in {**self.children, "": self.id}.items():
            if name not in self.finished:
                if reason:
                    log_tags(run_id, {"reason": reason})
                _post_status(run_id, status)


@contextmanager
def tracked_run(
    experiment: str, name: str, tags: Mapping[str, str], children: Sequence[str] = (), run_state: RunState | None = None
) -> Iterator[TrackedRun]:
    """Open a run and one for each of its `children`, yield them, and close them with the status of the block.

    All are opened at once, so that no training has to wait for the tracker. The runs of an interrupted
    process with the same `run_state` are opened again.

    **Raises:** `TrackerAwayError` if the tracker does not take what is to be recorded.
    """
    tags = {**tags, **origin_tags(run_state)}
    run = TRACKER.ask(lambda client: _open_runs(client, experiment, name, tags, children, run_state))
    try:
        with _heartbeat(run.id):
            yield run
        run.end("FINISHED")
        with timed("record"):
            TRACKER.settle()
    except TrackerAwayError as error:
        raise TrackerAwayError(f"{error}; {_keep_undelivered(run_state)}") from None
    except BaseException as error:
        status = "FAILED" if isinstance(error, Exception) else "KILLED"
        with suppress(TrackerAwayError):
            run.end(status, redacted(f"{type(error).__name__}: {error}".strip(": "))[:5000])
            TRACKER.settle(LAST_PATIENCE)
        raise


def origin_tags(run_state: RunState | None) -> dict[str, str]:
    """Return tags that name the process that records a run, and the run state."""
    tags = {PROCESS: this_process(), HEARTBEAT: _now()}
    return {**tags, RUN_STATE: run_state.id} if run_state else tags


def finished_runs(experiment: str, most: int) -> list[tuple[str, dict[str, str]]]:
    """Return the ids and tags of the latest finished runs of an experiment, newest first."""

    def find(client: MlflowClient) -> list[tuple[str, dict[str, str]]]:
        existing = client.get_experiment_by_name(experiment)
        if existing is None:
            return []
        runs = client.search_runs([existing.experiment_id], "status = 'FINISHED'", max_results=most)
        return [(run.info.run_id, run.data.tags) for run in runs]

    return TRACKER.ask(find)


def _keep_undelivered(run_state: RunState | None) -> str:
    """Mark a run state as undelivered; returns a message that says how to deliver it."""
    if run_state is None:
        return "repeat the command once it is back"
    run_state.undelivered = True
    try:
        run_state.save()
    except OSError as error:
        problem = f"{error.filename} cannot be written either ({error.strerror})"
        return f"{problem}; run the same command again to deliver what is on disk"
    return f"all of it is kept in {run_state.folder}, and tidecast sync delivers it"


def _open_runs(
    client: MlflowClient,
    experiment: str,
    name: str,
    tags: Mapping[str, str],
    children: Sequence[str],
    run_state: RunState | None,
) -> TrackedRun:
    experiment = experiment_id(client, experiment)
    existing = _runs_of(client, experiment, run_state) if run_state else {}
    ids = dict[str, str]()
    for child in ("", *children):
        tags_of_run = {**tags, "model": child, PARENT: ids[""]} if child else dict(tags)
        if child in existing:
            ids[child] = _open_again(client, existing[child], tags_of_run)
        else:
            ids[child] = client.create_run(experiment, run_name=child or name, tags=tags_of_run).info.run_id
        if child:
            client.update_run(ids[child], status="SCHEDULED")
    return TrackedRun(ids.pop(""), ids)


def _runs_of(client: MlflowClient, experiment: str, run_state: RunState) -> dict[str, Run]:
    """Return a run state's runs by model, with "" for that of the flow run; empty if that is missing."""
    runs = client.search_runs([experiment], f"tags.`{RUN_STATE}` = '{run_state.id}'")
    by_model = {run.data.tags.get("model", ""): run for run in runs}
    return by_model if "" in by_model else {}


def _open_again(client: MlflowClient, run: Run, tags: Mapping[str, str]) -> str:
    """Open a run that an interrupted process has left; returns its id."""
    run_id = str(run.info.run_id)
    if "reason" in run.data.tags:
        client.delete_tag(run_id, "reason")
    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
    client.update_run(run_id, status="RUNNING")
    return run_id


@contextmanager
def _heartbeat(run_id: str) -> Iterator[None]:
    """Record a heartbeat every minute while the block lasts: the process of the run lives."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            if not TRACKER.outbox.waiting:
                log_tags(run_id, {HEARTBEAT: _now()})

    threading.Thread(target=beat, name="heartbeat", daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _now() -> str:
    """Return the seconds since 1970."""
    return str(int(time.time()))


def _post_status(run_id: str, status: str) -> None:
    now = int(time.time() * 1000)
    if status in ("RUNNING", "SCHEDULED"):
        TRACKER.post(lambda client: client.update_run(run_id, status=status))
    else:
        TRACKER.post(lambda client: client.set_terminated(run_id, status, now))

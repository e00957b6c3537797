"""A run in MLflow, with one below it for each model: opened, closed with the truth, and opened again to go on."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from mlflow.entities import RunTag
from mlflow.tracking import MlflowClient

from tasks.credentials import redacted
from tasks.resuming.run_state import RunState
from tasks.tracking.errors import TrackerAwayError
from tasks.tracking.experiments import experiment_id
from tasks.tracking.outbox import OUTBOX
from tasks.tracking.processes import own_process
from tasks.tracking.tracker import connect

PROCESS, HEARTBEAT, RUN_STATE = "tidecast.process", "tidecast.alive", "tidecast.record"
"""Tags: which process records the run, when it last said so, and the record on disk."""
HEARTBEAT_SECONDS = 60.0
"""Seconds between two signs of life."""
LAST_WORDS = 15.0
"""Seconds that a run which fails, or is told to end, tries to say so."""


@dataclass
class TrackedRun:
    """A run's id, and those of its models' runs; `waited`, the seconds that its end waited for the tracker."""

    id: str
    children: dict[str, str]
    finished: set[str] = field(default_factory=set)
    waited: float = 0.0

    @contextmanager
    def child(self, name: str) -> Iterator[str]:
        """Yield the id of a model's run, which lasts as long as the block."""
        _post_status(self.children[name], "RUNNING")
        yield self.children[name]
        _post_status(self.children[name], "FINISHED")
        self.finished.add(name)

    def end(self, status: str, reason: str = "") -> None:
        """Close it, with all below it that is not finished."""
        for name, run_id in {**self.children, "": self.id}.items():
            if name not in self.finished:
                if reason:
                    _post_tags(run_id, {"reason": reason})
                _post_status(run_id, status)


@contextmanager
def tracked_run(
    experiment: str, name: str, tags: Mapping[str, str], children: Sequence[str] = (), run_state: RunState | None = None
) -> Iterator[TrackedRun]:
    """Open a run and one for each of its `children`, yield them, and close them with the status that it came to.

    All are opened at once, so that nothing on the way needs an answer of the tracker. Those that
    another process began for the `run_state` are opened again.

    **Raises:** `TrackerAwayError` where the tracker does not take what is to be recorded.
    """
    run = OUTBOX.ask(lambda: _open(experiment, name, {**tags, **origin(run_state)}, children, run_state))
    try:
        with _signs_of_life(run.id):
            yield run
        run.end("FINISHED")
        run.waited = OUTBOX.settle()
    except TrackerAwayError as error:
        raise TrackerAwayError(f"{error}; {_kept(run_state)}") from None
    except BaseException as error:
        status = "FAILED" if isinstance(error, Exception) else "KILLED"
        with suppress(TrackerAwayError):
            run.end(status, redacted(f"{type(error).__name__}: {error}".strip(": "))[:5000])
            OUTBOX.settle(LAST_WORDS)
        raise


def origin(run_state: RunState | None) -> dict[str, str]:
    """Tags that say which process records a run, and where."""
    kept = {RUN_STATE: run_state.id} if run_state else {}
    return {PROCESS: own_process(), HEARTBEAT: str(int(time.time())), **kept}


def finished_runs(experiment: str, most: int) -> list[tuple[str, dict[str, str]]]:
    """The latest finished runs of an experiment, newest first: their ids and tags."""

    def find() -> list[tuple[str, dict[str, str]]]:
        client = connect()
        found = client.get_experiment_by_name(experiment)
        if found is None:
            return []
        runs = client.search_runs([found.experiment_id], "status = 'FINISHED'", max_results=most)
        return [(run.info.run_id, run.data.tags) for run in runs]

    return OUTBOX.ask(find)


def _kept(run_state: RunState | None) -> str:
    if run_state is None:
        return "do the same again once it is back"
    run_state.undelivered = True
    try:
        run_state.keep()
    except OSError as error:
        return f"{error.filename} cannot be written either ({error.strerror}); the same command delivers what is there"
    return f"all of it is kept in {run_state.folder}, and tidecast sync delivers it"


def _open(
    experiment: str, name: str, tags: Mapping[str, str], children: Sequence[str], run_state: RunState | None
) -> TrackedRun:
    client = connect()
    place, ids = experiment_id(client, experiment), dict[str, str]()
    known = _begun(client, place, run_state.id) if run_state else {}
    for child in ("", *children):
        own = {**tags, "model": child, "mlflow.parentRunId": ids[""]} if child else dict(tags)
        if child in known:
            ids[child] = _open_again(client, known[child], own)
        else:
            ids[child] = client.create_run(place, run_name=child or name, tags=own).info.run_id
        if child:
            client.update_run(ids[child], status="SCHEDULED")
    return TrackedRun(ids.pop(""), ids)


def _begun(client: MlflowClient, experiment: str, run_state: str) -> dict[str, str]:
    """The runs of a record by the model that they are of, "" for the flow run's own."""
    found = client.search_runs([experiment], f"tags.`{RUN_STATE}` = '{run_state}'")
    runs = {run.data.tags.get("model", ""): str(run.info.run_id) for run in found}
    return runs if "" in runs else {}


def _open_again(client: MlflowClient, run_id: str, tags: Mapping[str, str]) -> str:
    """Open a run that an earlier process has left."""
    if "reason" in client.get_run(run_id).data.tags:
        client.delete_tag(run_id, "reason")
    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
    client.update_run(run_id, status="RUNNING")
    return run_id


@contextmanager
def _signs_of_life(run_id: str) -> Iterator[None]:
    """Say now and then, while the block lasts, that the process of a run is alive."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            if not OUTBOX.waiting:
                _post_tags(run_id, {HEARTBEAT: str(int(time.time()))})

    threading.Thread(target=beat, name="signs of life", daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _post_tags(run_id: str, tags: Mapping[str, str]) -> None:
    OUTBOX.post(lambda: connect().log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()]))


def _post_status(run_id: str, status: str) -> None:
    now = int(time.time() * 1000)
    if status in ("RUNNING", "SCHEDULED"):
        OUTBOX.post(lambda: connect().update_run(run_id, status=status))
    else:
        OUTBOX.post(lambda: connect().set_terminated(run_id, status, now))

"""A run: opened, described, measured and closed."""

import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from pydantic import BaseModel

from tasks.series import Series
from tasks.tracking.client import connect
from tasks.tracking.experiments import experiment_id

FLOW_RUN_URL = "prefect.flow_run_url"
BATCH = {"params": 100, "metrics": 1000}


@contextmanager
def tracked_run(experiment: str, name: str, tags: Mapping[str, str], parent: str | None = None) -> Iterator[str]:
    """Open a run, yield its id, and close it with the status that the block came to."""
    client = connect()
    if parent is not None:
        tags = {**tags, "mlflow.parentRunId": parent}
    run_id = client.create_run(experiment_id(client, experiment), run_name=name, tags=dict(tags)).info.run_id
    try:
        yield run_id
    except Exception as error:
        client.set_tag(run_id, "reason", f"{type(error).__name__}: {error}"[:5000])
        client.set_terminated(run_id, "FAILED")
        raise
    except BaseException as stop:
        client.set_tag(run_id, "reason", type(stop).__name__)
        client.set_terminated(run_id, "KILLED")
        raise
    client.set_terminated(run_id, "FINISHED")


def finished_runs(experiment: str, most: int) -> list[tuple[str, dict[str, str]]]:
    """The latest finished runs of an experiment, newest first: their ids and tags."""
    client = connect()
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return []
    runs = client.search_runs([found.experiment_id], "status = 'FINISHED'", max_results=most)
    return [(run.info.run_id, run.data.tags) for run in runs]


def log_params(run_id: str, params: Mapping[str, Any]) -> None:
    """Log nested settings, flattened to dotted names."""
    flat = [Param(name, str(value)) for name, value in flatten(params).items()]
    for begin in range(0, len(flat), BATCH["params"]):
        connect().log_batch(run_id, params=flat[begin : begin + BATCH["params"]])


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"fit": {"epochs": 5}}` as `{"fit.epochs": 5}`."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, BaseModel):
            value = value.model_dump(mode="json")
        flat |= flatten(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def log_tags(run_id: str, tags: Mapping[str, str]) -> None:
    """Set tags, one write for all."""
    connect().log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])


def log_note(run_id: str, markdown: str) -> None:
    """What a person reads first on the run's page, in Markdown, with the way to the flow run in Prefect."""
    url = connect().get_run(run_id).data.tags.get(FLOW_RUN_URL)
    link = f"[Open the flow run in Prefect]({url})\n\n" if url else ""
    log_tags(run_id, {"mlflow.note.content": link + markdown})


def log_scores(run_id: str, scores: Mapping[str, float], prefix: str = "") -> None:
    """Log final scores, each under its one name."""
    now = int(time.time() * 1000)
    connect().log_batch(run_id, metrics=[Metric(prefix + name, score, now, 0) for name, score in scores.items()])


class Curves:
    """Metrics that grow by the epoch, sent in batches about once a second."""

    def __init__(self, run_id: str, interval: float = 1.0):
        self.client, self.run_id, self.interval = connect(), run_id, interval
        self.waiting: list[Metric] = []
        self.sent = time.monotonic()

    def add(self, epoch: int, losses: Mapping[str, float]) -> None:
        """Note one epoch's losses."""
        now = int(time.time() * 1000)
        self.waiting += [Metric(name, value, now, epoch) for name, value in losses.items()]
        if time.monotonic() - self.sent >= self.interval or len(self.waiting) >= BATCH["metrics"] - len(losses):
            self.flush()

    def flush(self) -> None:
        """Send what waits."""
        if self.waiting:
            self.client.log_batch(self.run_id, metrics=self.waiting)
        self.waiting, self.sent = [], time.monotonic()


def log_dataset(run_id: str, series: Series) -> None:
    """Name the data of a run, with its size and sha256."""
    profile = {"series": len(series.panel.ids), "points": len(series.panel.values), "step": str(series.panel.step)}
    data = Dataset(
        name=series.name,
        digest=series.sha256[:16],
        source_type="wave" if series.wave else "local",
        source=json.dumps({"uri": series.source, "sha256": series.sha256}),
        profile=json.dumps(profile),
    )
    connect().log_inputs(run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])


def git_commit() -> str:
    """The commit of the code that runs, or "unknown" outside a checkout."""
    here = Path(__file__).parent
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git
        return "unknown"
    return found.stdout.strip() or "unknown"

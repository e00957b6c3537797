"""What a run's page shows: settings, tags, a note, scores and the data. Every entry may be written twice."""

import json
import subprocess
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.tracking import MlflowClient
from pydantic import BaseModel

from tasks.data.series import Series
from tasks.tracking.tracker import TRACKER

FLOW_RUN, FLOW_RUN_URL = "prefect.flow_run_id", "prefect.flow_run_url"
"""Tags: the id of the flow run that recorded a run, and the URL of its page."""
MOST_PARAMS, LONGEST_PARAM = 100, 6000
"""Params that one request holds, and characters of one; PostgreSQL takes no NUL in it."""


def log_params(run_id: str, params: Mapping[str, Any]) -> None:
    """Log nested settings, flattened to dotted names."""
    flat = [Param(name, str(value).replace("\0", "\ufffd")[:LONGEST_PARAM]) for name, value in flatten(params).items()]
    for begin in range(0, len(flat), MOST_PARAMS):
        TRACKER.post(partial(_log_batch, run_id=run_id, params=flat[begin : begin + MOST_PARAMS]))


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return `{"fit": {"epochs": 5}}` as `{"fit.epochs": 5}`."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, BaseModel):
            value = value.model_dump(mode="json")
        flat |= flatten(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def log_tags(run_id: str, tags: Mapping[str, str]) -> None:
    """Set tags in one write."""
    TRACKER.post(partial(_log_batch, run_id=run_id, tags=[RunTag(name, value) for name, value in tags.items()]))


def log_note(run_id: str, markdown: str) -> None:
    """Set the note at the top of the run's page, in Markdown, with a link to the flow run in Prefect."""

    def write(client: MlflowClient) -> None:
        url = client.get_run(run_id).data.tags.get(FLOW_RUN_URL)
        link = f"[Open the flow run in Prefect]({url})\n\n" if url else ""
        client.set_tag(run_id, "mlflow.note.content", link + markdown)

    TRACKER.post(write)


def log_scores(run_id: str, scores: Mapping[str, float]) -> None:
    """Log final scores, each under one name and only once."""
    now = int(time.time() * 1000)

    def write(client: MlflowClient) -> None:
        recorded = client.get_run(run_id).data.metrics
        new = [Metric(name, score, now, 0) for name, score in scores.items() if str(recorded.get(name)) != str(score)]
        if new:
            client.log_batch(run_id, metrics=new)

    TRACKER.post(write)


def log_dataset(run_id: str, series: Series) -> None:
    """Log the name, size and sha256 of a run's data."""
    profile = {"series": len(series.panel.ids), "points": len(series.panel.values), "step": str(series.panel.step)}
    data = Dataset(
        name=series.name,
        digest=series.sha256[:16],
        source_type="wave" if series.wave else "local",
        source=json.dumps({"uri": series.source, "sha256": series.sha256}),
        profile=json.dumps(profile),
    )
    inputs = [DatasetInput(data, [InputTag("mlflow.data.context", "training")])]
    TRACKER.post(lambda client: client.log_inputs(run_id, inputs))


def git_commit() -> str:
    """Return the commit of the code that runs, or "unknown" outside a checkout."""
    folder = Path(__file__).parent
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git
        return "unknown"
    return done.stdout.strip() or "unknown"


def _log_batch(client: MlflowClient, run_id: str, **entries: Any) -> None:
    client.log_batch(run_id, **entries)

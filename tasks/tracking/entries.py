"""What is written down of a run: settings, tags, a note, scores and the data. All of it may be written twice."""

import json
import subprocess
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from pydantic import BaseModel

from tasks.data.series import Series
from tasks.tracking.outbox import OUTBOX
from tasks.tracking.tracker import connect

FLOW_RUN_URL = "prefect.flow_run_url"
MOST_PARAMS, LONGEST_PARAM = 100, 6000
"""That a request holds, and the letters of one; PostgreSQL holds none that is NUL."""


def log_params(run_id: str, params: Mapping[str, Any]) -> None:
    """Log nested settings, flattened to dotted names."""
    flat = [Param(name, str(value).replace("\0", "\ufffd")[:LONGEST_PARAM]) for name, value in flatten(params).items()]
    for begin in range(0, len(flat), MOST_PARAMS):
        OUTBOX.post(partial(_log_batch, run_id, params=flat[begin : begin + MOST_PARAMS]))


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
    OUTBOX.post(partial(_log_batch, run_id, tags=[RunTag(name, value) for name, value in tags.items()]))


def log_note(run_id: str, markdown: str) -> None:
    """What a person reads first on the run's page, in Markdown, with the way to the flow run in Prefect."""

    def write() -> None:
        url = connect().get_run(run_id).data.tags.get(FLOW_RUN_URL)
        link = f"[Open the flow run in Prefect]({url})\n\n" if url else ""
        connect().set_tag(run_id, "mlflow.note.content", link + markdown)

    OUTBOX.post(write)


def log_scores(run_id: str, scores: Mapping[str, float]) -> None:
    """Log final scores, each under its one name, and each once."""
    now = int(time.time() * 1000)

    def write() -> None:
        known = connect().get_run(run_id).data.metrics
        new = [Metric(name, score, now, 0) for name, score in scores.items() if str(known.get(name)) != str(score)]
        if new:
            _log_batch(run_id, metrics=new)

    OUTBOX.post(write)


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
    inputs = [DatasetInput(data, [InputTag("mlflow.data.context", "training")])]
    OUTBOX.post(lambda: connect().log_inputs(run_id, inputs))


def git_commit() -> str:
    """The commit of the code that runs, or "unknown" outside a checkout."""
    here = Path(__file__).parent
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git
        return "unknown"
    return found.stdout.strip() or "unknown"


def _log_batch(run_id: str, **entries: Any) -> None:
    connect().log_batch(run_id, **entries)

"""The one door to MLflow. The flow opens a run and passes its id on; nothing relies on an active run."""

import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from matplotlib.figure import Figure
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.models import Model, ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
from pydantic import BaseModel

import models
from models.checkpoints import save_forecaster
from models.forecaster import Forecaster
from tasks.series import Series

DEFAULT_URI = "sqlite:///mlflow.db"
DEFAULT_ARTIFACTS = Path("artifacts")
REQUIREMENTS = ("mlflow", "numpy", "pandas", "pydantic", "safetensors", "torch")
BATCH = {"params": 100, "metrics": 1000}


def connect() -> MlflowClient:
    """A client of the server in `MLFLOW_TRACKING_URI`, or of the database in this folder."""
    mlflow.set_tracking_uri(tracking_uri())
    return MlflowClient()


def tracking_uri() -> str:
    """Where runs are recorded."""
    return os.environ.get("MLFLOW_TRACKING_URI", DEFAULT_URI)


@contextmanager
def tracked_run(experiment: str, name: str, tags: Mapping[str, str], parent: str | None = None) -> Iterator[str]:
    """Open a run, yield its id, and close it with the status that the block came to."""
    client = connect()
    if parent is not None:
        tags = {**tags, "mlflow.parentRunId": parent}
    run_id = client.create_run(_experiment_id(client, experiment), run_name=name, tags=dict(tags)).info.run_id
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


def _experiment_id(client: MlflowClient, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    folder = DEFAULT_ARTIFACTS.absolute() / (re.sub(r"[^\w-]+", "-", name)[:60] or "series")
    location = None if tracking_uri().startswith("http") else folder.as_uri()  # a server has a place of its own
    return str(client.create_experiment(name, artifact_location=location))


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


def log_dataset(run_id: str, series: Series, source: str) -> None:
    """Name the data of a run, with its size and sha256."""
    profile = {"series": len(series.panel.ids), "points": len(series.panel.values), "step": str(series.panel.step)}
    data = Dataset(
        name=series.name,
        digest=series.sha256[:16],
        source_type="wave" if series.wave else "local",
        source=json.dumps({"uri": source, "sha256": series.sha256}),
        profile=json.dumps(profile),
    )
    connect().log_inputs(run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])


def log_files(
    run_id: str, folder: str, figures: Mapping[str, Figure], tables: Mapping[str, pd.DataFrame] | None = None
) -> None:
    """Log figures as PNG and tables as Parquet, in one transfer."""
    with tempfile.TemporaryDirectory() as draft:
        for name, figure in figures.items():
            figure.savefig(Path(draft, f"{name}.png"))
        for name, table in (tables or {}).items():
            table.to_parquet(Path(draft, f"{name}.parquet"), index=False)
        connect().log_artifacts(run_id, draft, folder)


def log_json(run_id: str, name: str, content: Mapping[str, Any]) -> None:
    """Log one JSON file."""
    connect().log_text(run_id, json.dumps(content, indent=2), name)


def log_model(run_id: str, forecaster: Forecaster, series: Series) -> str:
    """Log a forecaster as an MLflow model from code; returns its URI."""
    package, client, spec = Path(models.__file__).parent, connect(), forecaster.spec
    # The model is made here and handed over, since MLflow would put it into whatever experiment is active.
    experiment = client.get_run(run_id).info.experiment_id
    made = client.create_logged_model(experiment, name=spec.model, source_run_id=run_id, model_type="forecaster")
    with tempfile.TemporaryDirectory() as draft:
        save_forecaster(forecaster, Path(draft, "forecaster"))
        logged = Model.log(
            artifact_path=None,
            flavor=mlflow.pyfunc,
            model_id=made.model_id,
            run_id=run_id,
            python_model=str(package / "serving.py"),
            artifacts={"forecaster": str(Path(draft, "forecaster"))},
            code_paths=[str(package)],
            pip_requirements=[f"{name}=={version(name).split('+')[0]}" for name in REQUIREMENTS],
            signature=_signature(forecaster, series),
            input_example=_input_example(forecaster, series),
        )
    return str(logged.model_uri)


def _input_example(forecaster: Forecaster, series: Series) -> pd.DataFrame:
    """The rows of the first series that a forecast needs."""
    panel = series.panel
    end = int(panel.ends[0])
    count = min(end, max(forecaster.spec.window.length, 2))
    values = panel.values[end - count : end]
    return pd.DataFrame({"unique_id": panel.ids[0], "ds": panel.times(0, end - count, count), "y": values})


def _signature(forecaster: Forecaster, series: Series) -> ModelSignature:
    time_type = "long" if isinstance(series.panel.step, int) else "datetime"
    rows: list[ColSpec | TensorSpec] = [
        ColSpec("string", "unique_id"),
        ColSpec(time_type, "ds"),
        ColSpec("double", "y"),
    ]
    answer = [ColSpec("string", "unique_id"), ColSpec(time_type, "cutoff"), ColSpec(time_type, "ds")]
    horizon = ParamSpec("horizon", "long", forecaster.spec.window.horizon)
    return ModelSignature(
        Schema(rows), Schema([*answer, ColSpec("double", forecaster.spec.model)]), ParamSchema([horizon])
    )


def git_commit() -> str:
    """The commit of the code that runs, or "unknown" outside a checkout."""
    here = Path(models.__file__).parent
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git
        return "unknown"
    return found.stdout.strip() or "unknown"


def artifact_folder(run_id: str) -> str:
    """Where the files of a run lie: a path where they are local, else a URI."""
    uri = str(connect().get_run(run_id).info.artifact_uri)
    return uri.removeprefix("file://")

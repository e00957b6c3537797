"""Where runs are recorded, and the client that records them."""

import os
from pathlib import Path

import mlflow
from mlflow.tracking import MlflowClient

from models.errors import InputError
from tasks.urls import without_password

DEFAULT_URI = "sqlite:///mlflow.db"
DEFAULT_ARTIFACTS = Path("artifacts")
MODE = "workflowType=machine_learning"
"""What makes MLflow's pages those of models; else they open as those of language models."""


def connect() -> MlflowClient:
    """A client of the server in `MLFLOW_TRACKING_URI`, or of the database in this folder."""
    mlflow.set_tracking_uri(tracking_uri())
    return MlflowClient()


def tracking_uri() -> str:
    """Where runs are recorded."""
    return os.environ.get("MLFLOW_TRACKING_URI", DEFAULT_URI)


def refuse_missing_database() -> None:
    """**Raises:** `InputError` where runs would be looked for in this folder, and it has none."""
    if tracking_uri() == DEFAULT_URI and not Path(DEFAULT_URI.removeprefix("sqlite:///")).exists():
        raise InputError(
            "this folder has no mlflow.db, so no model is registered here; train one with tidecast train, or name a "
            "server in MLFLOW_TRACKING_URI"
        )


def pages_url() -> str | None:
    """Where people open MLflow in a browser, without credentials: `TIDECAST_MLFLOW_URL`, else the server itself."""
    url = os.environ.get("TIDECAST_MLFLOW_URL") or tracking_uri()
    if not url.startswith("http"):
        return None
    return without_password(url).rstrip("/")


def run_page(run_id: str) -> str | None:
    """The page of a run, where there is a server."""
    return f"{_runs(run_id)}/{run_id}?{MODE}" if pages_url() else None


def experiment_page(run_id: str, view: str) -> str | None:
    """The page with all runs of the experiment that a run belongs to, in a saved view, where there is a server."""
    return f"{_runs(run_id)}?{MODE}&viewStateShareKey={view}" if pages_url() else None


def _runs(run_id: str) -> str:
    return f"{pages_url()}/#/experiments/{connect().get_run(run_id).info.experiment_id}/runs"

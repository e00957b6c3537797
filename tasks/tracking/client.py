"""Where runs are recorded, and the client that records them."""

import os
from pathlib import Path

import mlflow
from mlflow.tracking import MlflowClient

DEFAULT_URI = "sqlite:///mlflow.db"
DEFAULT_ARTIFACTS = Path("artifacts")


def connect() -> MlflowClient:
    """A client of the server in `MLFLOW_TRACKING_URI`, or of the database in this folder."""
    mlflow.set_tracking_uri(tracking_uri())
    return MlflowClient()


def tracking_uri() -> str:
    """Where runs are recorded."""
    return os.environ.get("MLFLOW_TRACKING_URI", DEFAULT_URI)

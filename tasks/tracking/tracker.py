"""Where runs are recorded, and the client that records them."""

import json
import logging
import os
from contextlib import suppress
from pathlib import Path

import mlflow
from mlflow.tracking import MlflowClient

from models.errors import InputError
from tasks.credentials import passwords_moved, redact_logs, without_password
from tasks.tracking.database import make_database

DEFAULT_URI = "sqlite:///mlflow.db"
DEFAULT_ARTIFACTS = Path("artifacts")
LOCK = "TIDECAST_LOCK"
"""Names the lock of the `tidecast up` which the address came from, where the user's environment had none."""
PROMPT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
"""A server that does not answer is found out in seconds, not in minutes; what is to be written is then tried again."""


def connect() -> MlflowClient:
    """A client of the server in `MLFLOW_TRACKING_URI`, or of the database in this folder."""
    redact_logs()
    for name, value in PROMPT.items():
        os.environ.setdefault(name, value)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # it logs, with a traceback, what it raises
    make_database(tracking_uri())
    mlflow.set_tracking_uri(tracking_uri())
    return MlflowClient()


def tracker() -> str:
    """What records runs, in words, without credentials."""
    uri = without_password(tracking_uri())
    if uri.startswith("http"):
        return f"the MLflow server at {uri}"
    place = uri.removeprefix("sqlite:///")
    with suppress(FileNotFoundError):  # the current folder is gone
        place = str(Path(place).absolute()) if place != uri else uri
    return f"the database {place}"


def tracking_uri() -> str:
    """Where runs are recorded; the server of a folder's `tidecast up` may meanwhile be at another address."""
    os.environ |= passwords_moved(os.environ)  # no password stays in a URL, whoever started this process
    with suppress(KeyError, OSError, ValueError):
        return str(json.loads(Path(os.environ[LOCK]).read_text())["environment"]["MLFLOW_TRACKING_URI"])
    return os.environ.get("MLFLOW_TRACKING_URI", DEFAULT_URI)


def refuse_missing_database() -> None:
    """**Raises:** `InputError` where runs would be looked for in this folder, and it has none."""
    if tracking_uri() == DEFAULT_URI and not Path(DEFAULT_URI.removeprefix("sqlite:///")).exists():
        raise InputError(
            "this folder has no mlflow.db, so no model is registered here; train one with tidecast train, or name a "
            "server in MLFLOW_TRACKING_URI"
        )

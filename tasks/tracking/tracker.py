"""The tracker: the MLflow server or database in which runs are recorded, opened once by this process."""

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import mlflow
from mlflow.tracking import MlflowClient

from models.errors import InputError
from tasks.credentials import redact_logs, separate_passwords, without_password
from tasks.resuming.locks import read_content
from tasks.tracking.database import make_database
from tasks.tracking.outbox import Outbox

URI_VARIABLE, DEFAULT_URI = "MLFLOW_TRACKING_URI", "sqlite:///mlflow.db"
DEFAULT_ARTIFACTS = Path("artifacts")
LOCK_VARIABLE = "TIDECAST_LOCK"
"""Names the lock file of the `tidecast up` whose server is used, if the user's environment names no server."""
CLIENT_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
"""With these, MLflow gives up on a server that does not answer within seconds, not minutes; the outbox tries again."""

Answer = TypeVar("Answer")


class Tracker:
    """The client of the tracker and the outbox of what is to be written there; nothing is opened before first use."""

    def __init__(self) -> None:
        self.outbox = Outbox(self.describe)
        self._opened: tuple[str, MlflowClient] | None = None

    @property
    def uri(self) -> str:
        """The URI under which runs are recorded, without a password that the client finds in the environment.

        The server of a folder's `tidecast up` may have moved to another address, which is in the folder's lock file.
        """
        with suppress(KeyError, OSError):
            return str(read_content(Path(os.environ[LOCK_VARIABLE]))["environment"][URI_VARIABLE])
        return separate_passwords(os.environ).get(URI_VARIABLE) or os.environ.get(URI_VARIABLE, DEFAULT_URI)

    def client(self) -> MlflowClient:
        """Return MLflow's client; it is opened on first use, and again when the address has changed."""
        uri = self.uri
        if self._opened and self._opened[0] == uri:
            make_database(uri)  # again if its file has vanished
        else:
            self._opened = uri, _open_client(uri)
        return self._opened[1]

    def post(self, write: Callable[[MlflowClient], object]) -> None:
        """Have the outbox write something soon; the write may be tried more than once."""
        self.outbox.post(lambda: write(self.client()))

    def ask(self, question: Callable[[MlflowClient], Answer], patience: float | None = None) -> Answer:
        """Return the tracker's answer, once everything posted before is written; the question may be asked again.

        **Raises:** as `settle` does.
        """
        return self.outbox.ask(lambda: question(self.client()), patience)

    def settle(self, patience: float | None = None) -> None:
        """Wait until all that was posted is written.

        **Raises:** as `Outbox.settle` does.
        """
        self.outbox.settle(patience)

    def describe(self) -> str:
        """Name the tracker in a message, without credentials."""
        uri = without_password(self.uri)
        if uri.startswith("http"):
            return f"the MLflow server at {uri}"
        place = uri.removeprefix("sqlite:///")
        with suppress(FileNotFoundError):  # the current folder is gone
            place = str(Path(place).absolute()) if place != uri else uri
        return f"the database {place}"


def refuse_missing_database() -> None:
    """**Raises:** `InputError` if runs would be looked up in this folder's database, and there is none."""
    if TRACKER.uri == DEFAULT_URI and not Path(DEFAULT_URI.removeprefix("sqlite:///")).exists():
        raise InputError(
            "this folder has no mlflow.db, so no model is registered here; train one with tidecast train, or name a "
            "server in MLFLOW_TRACKING_URI"
        )


def _open_client(uri: str) -> MlflowClient:
    """Open a client, make its tracker that of MLflow itself, and keep passwords out of URLs and logs."""
    redact_logs()
    os.environ |= separate_passwords(os.environ)
    for name, value in CLIENT_DEFAULTS.items():
        os.environ.setdefault(name, value)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # it logs, with a traceback, what it raises
    make_database(uri)
    mlflow.set_tracking_uri(uri)
    return MlflowClient()


TRACKER = Tracker()
"""The tracker of this process."""

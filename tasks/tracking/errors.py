"""Errors of the tracker: whether they are temporary, and their reason in few words."""

import re

from mlflow.exceptions import MlflowException
from sqlalchemy.exc import OperationalError

from models.display import printable
from tasks.credentials import redacted

SERVER_ERROR = 500
TEMPORARY_STATUSES = (401, 403, 408, 425, 429)
"""Statuses below 500 after which the same request may succeed later: not allowed, too slow, too early, too many."""
DUPLICATE = re.compile(r"IntegrityError|UniqueViolation|UNIQUE constraint failed|duplicate key value")
"""What databases say of a row that exists already."""
REASONS = re.compile(
    r"\[Errno -?\d+\] ([^'\")]+)"  # of a connection
    r"|(too many \d+ error responses|Read timed out|[Cc]onnection aborted|Remote end closed connection)"
    r"|\((?:sqlite3|psycopg)[\w.]*\) ([^\n\[]+)"
)


class TrackerAwayError(ConnectionError):
    """The tracker cannot be used; the run state, if there is one, is still on this machine's disk."""


def is_away(error: Exception) -> bool:
    """Whether the same write may succeed later: the server does not answer or is busy or broken, or a disk is full."""
    if isinstance(error, OperationalError):  # of a database that cannot be opened
        return True
    if isinstance(error, MlflowException):
        status = int(error.get_http_status_code())
    else:
        status = getattr(getattr(error, "response", None), "status_code", SERVER_ERROR)  # of an artifact's transfer
        if not isinstance(error, OSError) or isinstance(error, FileNotFoundError):
            return False
    return status >= SERVER_ERROR or status in TEMPORARY_STATUSES


def is_overtaken(error: Exception) -> bool:
    """Whether another process made the same write at the same moment, such as the data of an experiment.

    MLflow looks for a row before it writes it; another attempt will find the row.
    """
    return isinstance(error, MlflowException) and DUPLICATE.search(str(error)) is not None


def reason(error: Exception) -> str:
    """Return the reason of an error in few words, without credentials: that of the underlying error, if it is found."""
    text = redacted(str(error))
    if isinstance(error, OSError) and error.strerror:
        return printable(f"{error.filename}: {error.strerror}" if error.filename else error.strerror, 300)
    match = REASONS.search(text)
    return printable(next(filter(None, match.groups())) if match else text, 300)

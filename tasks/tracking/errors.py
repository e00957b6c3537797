"""What an error of the tracker means: whether it passes, and why it came, in few words."""

import re

from mlflow.exceptions import MlflowException
from sqlalchemy.exc import OperationalError

from models.display import printable
from tasks.credentials import redacted

SERVER_ERROR = 500
PASSING = (401, 403, 408, 425, 429)
"""Statuses below 500 of which the same may go well later: not let in, too slow, too early, too many."""
TAKEN = re.compile(r"IntegrityError|UniqueViolation|UNIQUE constraint failed|duplicate key value")
"""What databases say of a row that is there already."""
REASONS = re.compile(
    r"\[Errno -?\d+\] ([^'\")]+)"  # of a connection
    r"|(too many \d+ error responses|Read timed out|[Cc]onnection aborted|Remote end closed connection)"
    r"|\((?:sqlite3|psycopg)[\w.]*\) ([^\n\[]+)"
)


class TrackerAwayError(ConnectionError):
    """The tracker cannot be used; the record of the run, where there is one, is still on this machine's disk."""


def is_away(error: Exception) -> bool:
    """Whether the same may go well later: a server that does not answer or let in, is busy or broken, a full disk."""
    if isinstance(error, OperationalError):  # of a database that cannot be opened
        return True
    if isinstance(error, MlflowException):
        status = int(error.get_http_status_code())
    else:
        status = getattr(getattr(error, "response", None), "status_code", SERVER_ERROR)  # of an artifact's transfer
        if not isinstance(error, OSError) or isinstance(error, FileNotFoundError):
            return False
    return status >= SERVER_ERROR or status in PASSING


def is_overtaken(error: Exception) -> bool:
    """Whether another process wrote the same at the same moment, such as the data of an experiment, and was first.

    MLflow looks whether a row is there, and then writes it; trying again finds it there.
    """
    return isinstance(error, MlflowException) and TAKEN.search(str(error)) is not None


def reason(error: Exception) -> str:
    """Why it came, without credentials: what lies below it, where that can be told."""
    text = redacted(str(error))
    if isinstance(error, OSError) and error.strerror:
        return printable(f"{error.filename}: {error.strerror}" if error.filename else error.strerror, 300)
    found = REASONS.search(text)
    return printable(next(filter(None, found.groups())) if found else text, 300)

"""Credentials: moved out of URLs in the environment, and hidden in texts, logs and tracebacks."""

import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any
from urllib.parse import quote, quote_plus, unquote

# Moving passwords out of URLs

WEB = re.compile(r"(?P<scheme>https?)://(?P<user>[^\s:@/]*):(?P<password>(?!\d+/).+)@(?P<host>[^@]+)")
POSTGRES = re.compile(r"(?P<scheme>postgres[\w+]*)://(?P<user>[^\s:@/]*):(?P<password>[^@]+)@(?P<host>.+)")
"""Both also match a password with a / that should have been encoded, but is not always."""
PREFECT = "PREFECT_API_URL"
URLS = (
    PREFECT,
    "MLFLOW_TRACKING_URI",
    "MLFLOW_BACKEND_STORE_URI",
    "PREFECT_SERVER_DATABASE_CONNECTION_URL",
    "PREFECT_API_DATABASE_CONNECTION_URL",
)


def separate_passwords(environment: Mapping[str, str]) -> dict[str, str]:
    """Compute the changes to an environment after which its URLs hold no passwords: bare URLs, and their passwords.

    Each password goes to the variable in which Prefect, MLflow or PostgreSQL looks for it. A URL for whose password
    there is no such variable stays: that of another database, or of a second PostgreSQL with another password.
    """
    changes: dict[str, str] = {}
    for name in URLS:
        url = environment.get(name, "")
        match = WEB.fullmatch(url) or POSTGRES.fullmatch(url)
        if not match:
            continue
        scheme, user, password = match["scheme"], unquote(match["user"]), unquote(match["password"])
        if scheme.startswith("postgres"):
            if password == (changes.get("PGPASSWORD") or environment.get("PGPASSWORD") or password):
                changes |= {name: f"{scheme}://{match['user']}@{match['host']}", "PGPASSWORD": password}
            continue
        changes[name] = f"{scheme}://{match['host']}"
        if name == PREFECT:
            changes["PREFECT_API_AUTH_STRING"] = f"{user}:{password}"
        else:
            changes |= {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password}
    return changes


# Hiding passwords in texts

USER = r"(?<=://)(?:[^\s/:@]+:(?!\d+\b)\S*|[^\s/?#]*)@"
"""User and password before a host, up to the last @, as a password may hold one that is not encoded."""
SECRETS = (
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "PREFECT_API_AUTH_STRING",
    "PREFECT_SERVER_API_AUTH_STRING",
    "PREFECT_API_KEY",
    "PGPASSWORD",
)
SHORTEST_SECRET = 4
"""Characters of the shortest password that is hidden outside of URLs; a shorter one is a part of many words."""


def without_password(url: str) -> str:
    """Return the URL without the user and the password before its host."""
    return re.sub(USER, "", url, count=1)


def redacted(text: str) -> str:
    """Return the text with `***` for the passwords in its URLs and those in the environment."""
    text = re.sub(r"(?<=\bpassword=)[^\s&]+", "***", re.sub(USER, "***@", text))
    for secret in _secrets():
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "***", text)
    return text


def _secrets() -> list[str]:
    """Return the passwords in the environment in all their spellings, the longest first."""
    values = {os.environ.get(name, "") for name in SECRETS}
    values |= {value.partition(":")[2] for value in values}
    spellings = {
        spelling for value in values for spelling in (value, quote(value), quote(value, safe=""), quote_plus(value))
    }
    return sorted((spelling for spelling in spellings if len(spelling) >= SHORTEST_SECRET), key=len, reverse=True)


# Hiding passwords in logs and tracebacks


def redact_logs() -> None:
    """Hide passwords in all that this process logs from now on, and in the tracebacks of uncaught errors."""
    make_record = logging.getLogRecordFactory()
    if getattr(make_record, "redacts", False):
        return

    def make_redacted(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make_record(*args, **kwargs)
        with suppress(TypeError, ValueError):  # the arguments do not fit the message, which logging reports itself
            message = record.getMessage()
            if (safe := redacted(message)) != message:
                record.msg, record.args = safe, None
        if record.exc_info and record.exc_info[1]:
            trace = "".join(traceback.format_exception(record.exc_info[1])).removesuffix("\n")
            if (safe := redacted(trace)) != trace:
                record.exc_text = safe  # which formatters prefer
        return record

    make_redacted.redacts = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(make_redacted)
    sys.excepthook = _show_error
    threading.excepthook = _show_error_of_thread


def _show_error(_: type[BaseException], error: BaseException, __: TracebackType | None) -> None:
    sys.stderr.write(redacted("".join(traceback.format_exception(error))))


def _show_error_of_thread(caught: threading.ExceptHookArgs) -> None:
    if caught.exc_value and not isinstance(caught.exc_value, SystemExit):
        _show_error(caught.exc_type, caught.exc_value, caught.exc_traceback)

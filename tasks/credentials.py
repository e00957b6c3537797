"""Credentials: moved out of URLs, and kept out of whatever a person, a log or a tag gets to see."""

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

WEB = re.compile(r"(?P<scheme>https?)://(?P<user>[^\s:@/]*):(?P<password>(?!\d+/).+)@(?P<host>[^@]+)")
POSTGRES = re.compile(r"(?P<scheme>postgres[\w+]*)://(?P<user>[^\s:@/]*):(?P<password>[^@]+)@(?P<host>.+)")
"""Both also find a password with a / that should have been encoded, but is not always."""
USER = r"(?<=://)(?:[^\s/:@]+:(?!\d+\b)\S*|[^\s/?#]*)@"
"""What stands before a host, up to the last @ for the same reason."""
MLFLOW, PREFECT = "MLFLOW_TRACKING_URI", "PREFECT_API_URL"
DATABASES = (
    MLFLOW,
    "MLFLOW_BACKEND_STORE_URI",
    "PREFECT_SERVER_DATABASE_CONNECTION_URL",
    "PREFECT_API_DATABASE_CONNECTION_URL",
)
SECRETS = (
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "PREFECT_API_AUTH_STRING",
    "PREFECT_SERVER_API_AUTH_STRING",
    "PREFECT_API_KEY",
    "PGPASSWORD",
)
SHORTEST = 4
"""The length of a password that is looked for where it stands by itself; a shorter one is a part of many words."""


def passwords_moved(environment: Mapping[str, str]) -> dict[str, str]:
    """What to change in an environment so that its URLs hold no password: bare URLs, and variables that say the same.

    A URL stays as it is where no variable says the same: of a database that is not PostgreSQL, or of a second
    PostgreSQL with another password.
    """
    changes: dict[str, str] = {}
    for name in (PREFECT, *DATABASES):
        url = environment.get(name, "")
        held = WEB.fullmatch(url) or POSTGRES.fullmatch(url)
        if not held:
            continue
        scheme, user, password = held["scheme"], unquote(held["user"]), unquote(held["password"])
        if scheme.startswith("postgres"):
            if password == (changes.get("PGPASSWORD") or environment.get("PGPASSWORD") or password):
                changes |= {name: f"{scheme}://{held['user']}@{held['host']}", "PGPASSWORD": password}
            continue
        changes[name] = f"{scheme}://{held['host']}"
        if name == PREFECT:
            changes["PREFECT_API_AUTH_STRING"] = f"{user}:{password}"
        else:
            changes |= {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password}
    return changes


def without_password(url: str) -> str:
    """The URL without the user and the password before its host."""
    return re.sub(USER, "", url, count=1)


def redacted(text: str) -> str:
    """The text without the passwords of its URLs and those in the environment."""
    text = re.sub(r"(?<=\bpassword=)[^\s&]+", "***", re.sub(USER, "***@", text))
    for secret in _secrets():
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "***", text)
    return text


def _secrets() -> list[str]:
    """The passwords in the environment in all their spellings, the longest first."""
    values = {os.environ.get(name, "") for name in SECRETS}
    values |= {value.partition(":")[2] for value in values}
    spelled = {spelling for each in values for spelling in (each, quote(each), quote(each, safe=""), quote_plus(each))}
    return sorted((each for each in spelled if len(each) >= SHORTEST), key=len, reverse=True)


def redact_logs() -> None:
    """From here on, whatever this process logs and the tracebacks that nobody has caught hold no password."""
    make = logging.getLogRecordFactory()
    if getattr(make, "keeps_secrets", False):
        return

    def make_redacted(*given: Any, **named: Any) -> logging.LogRecord:
        record = make(*given, **named)
        with suppress(TypeError, ValueError):  # of a message that its arguments do not fit, which logging tells of
            said = record.getMessage()
            if (shown := redacted(said)) != said:
                record.msg, record.args = shown, None
        if record.exc_info and record.exc_info[1]:
            told = "".join(traceback.format_exception(record.exc_info[1])).removesuffix("\n")
            if (shown := redacted(told)) != told:
                record.exc_text = shown  # which formatters prefer
        return record

    make_redacted.keeps_secrets = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(make_redacted)
    sys.excepthook = _show
    threading.excepthook = _show_of_thread


def _show(_: type[BaseException], error: BaseException, __: TracebackType | None) -> None:
    sys.stderr.write(redacted("".join(traceback.format_exception(error))))


def _show_of_thread(broken: threading.ExceptHookArgs) -> None:
    if broken.exc_value and not isinstance(broken.exc_value, SystemExit):
        _show(broken.exc_type, broken.exc_value, broken.exc_traceback)

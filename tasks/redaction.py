"""No password in what a process logs, or says as it breaks."""

import logging
import sys
import threading
import traceback
from contextlib import suppress
from types import TracebackType
from typing import Any

from tasks.urls import redacted


def keep_secrets() -> None:
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

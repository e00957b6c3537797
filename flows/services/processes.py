"""Processes that a command starts, watches and ends, with all that they have started themselves."""

import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

from rich.console import Console

from flows.services.guardian import Guardian
from flows.services.marks import MARK, end_layers
from tasks.credentials import redacted

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SLOWEST = 120
"""Seconds that a process gets to be ready."""


class Stopped(BaseException):
    """A signal asked to end."""


@dataclass
class Child:
    """A process that was started: its name, as a message says it, and its log, where that is not the terminal."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path | None
    layer: int

    def check(self) -> None:
        """Make sure that it runs.

        **Raises:** `SystemExit` with one line that says how it ended.
        """
        status = self.process.poll()
        if status is not None and status < 0:
            raise SystemExit(f"tidecast: {self.name} was killed by {signal.Signals(-status).name} ({self.said})")
        if status is not None:
            self.fail(f"ended with status {status}")

    def fail(self, how: str) -> NoReturn:
        """Give up, with one line that names it and the error in its log, or else its last line; exit status 1."""
        reason = reason_in(self.log.read_text(errors="replace")) if self.log else ""
        raise SystemExit(f"tidecast: {self.name} {how}{reason} ({self.said})")

    @property
    def said(self) -> str:
        """Where to read what it said."""
        return f"log: {self.log}" if self.log else "its lines are above"


@dataclass
class Children:
    """The processes of one command; within the `with` block a signal ends it, and its end ends them.

    A layer rests on those below it: the highest ends first, and what it has left behind with it. `farewell` is said
    when the end begins. Where this process is killed, a guardian ends them.
    """

    farewell: str = ""
    mark: str = field(default_factory=lambda: secrets.token_hex(8))
    running: list[Child] = field(default_factory=list)
    before: dict[signal.Signals, Any] = field(default_factory=dict)
    guardian: Guardian = field(init=False)

    def start(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path | None = None,
        layer: int = 0,
        cwd: Path | None = None,
    ) -> Child:
        """Start `python -m command`, out of reach of the terminal's Ctrl-C."""
        output = log.open("wb") if log else None
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=cwd,
            env={**environment, MARK: self.mark},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        if output:
            output.close()
        self.guardian.watch(process.pid, layer)
        child = Child(name, process, log, layer)
        self.running.append(child)
        return child

    def watch(self, until: Callable[[], bool] = lambda: False) -> None:
        """Look after them, until something is so: by default for ever.

        **Raises:** `SystemExit` when one of them has ended.
        """
        while not until():
            for child in self.running:
                child.check()
            time.sleep(0.2)

    def wait(self, child: Child, until: Callable[[], bool], missing: str) -> None:
        """Wait until something of a child is so, and say what was missing where that takes too long."""
        deadline = time.monotonic() + SLOWEST

        def is_so() -> bool:
            if until():
                return True
            if time.monotonic() > deadline:
                child.fail(f"{missing} after {SLOWEST} s")
            return False

        self.watch(is_so)

    def finish(self, child: Child) -> None:
        """Wait until a child has done what it was started for."""
        self.watch(lambda: child.process.poll() == 0)
        self.running.remove(child)

    def __enter__(self) -> Self:
        """From here on a signal ends the block, unless it was ignored, as `nohup` has it."""
        self.guardian = Guardian(self.mark)
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                self.before[number] = signal.signal(number, _stop)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        """End them all; a signal is no error, and the way in which such a command usually ends."""
        for number in self.before:
            signal.signal(number, signal.SIG_IGN)
        try:
            if self.farewell:
                with suppress(OSError):  # the terminal is gone
                    Console().print(self.farewell)
        finally:
            self.end()
        for number, handler in self.before.items():
            signal.signal(number, handler)
        return isinstance(error, Stopped)

    def end(self) -> None:
        """End a layer after the other, and let the guardian go."""
        end_layers(self.mark, {child.process.pid: child.layer for child in self.running})
        for child in self.running:
            child.process.kill()
            child.process.wait()
        self.running = []
        self.guardian.dismiss()


def reason_in(log: str) -> str:
    """The error that a log tells of, or else its last line, as the end of a message; nothing of an empty one."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
    return "".join(f": {redacted(line)}" for line in (errors or lines)[-1:])


def _stop(*_: object) -> None:
    raise Stopped

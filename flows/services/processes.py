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

END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
START_TIMEOUT = 120
"""Seconds that a process gets to be ready."""


class Stopped(BaseException):
    """A signal asked the command to end."""


@dataclass
class Child:
    """A process that a command has started.

    `name` is used in messages. Without a `log`, the process writes to the terminal. Processes of a layer use those of
    the layers below it, and are ended before them.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path | None
    layer: int

    def check(self) -> None:
        """Check that it runs.

        **Raises:** `SystemExit` with one line that says how it ended.
        """
        status = self.process.poll()
        if status is not None and status < 0:
            raise SystemExit(f"tidecast: {self.name} was killed by {signal.Signals(-status).name} ({self.log_hint})")
        if status is not None:
            self.fail(f"ended with status {status}")

    def fail(self, problem: str) -> NoReturn:
        """Exit with status 1 and one line: its name, the problem, and the error in its log or else the last line."""
        reason = reason_in(self.log.read_text(errors="replace")) if self.log else ""
        raise SystemExit(f"tidecast: {self.name} {problem}{reason} ({self.log_hint})")

    @property
    def log_hint(self) -> str:
        """Where to read what it wrote."""
        return f"log: {self.log}" if self.log else "its lines are above"


@dataclass
class Children:
    """The processes of one command. A signal ends the `with` block, and the end of the block ends the processes.

    Those of the highest layer are ended first, with all that they have started. `end_message` is printed before. If the
    command is killed, a guardian ends them instead.
    """

    end_message: str = ""
    mark: str = field(default_factory=lambda: secrets.token_hex(8))
    running: list[Child] = field(default_factory=list)
    previous_handlers: dict[signal.Signals, Any] = field(default_factory=dict)
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
        """Start `python -m command` in a session of its own, which the terminal's Ctrl-C does not reach."""
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
        """Watch the processes until a condition holds, by default for ever.

        **Raises:** `SystemExit` when one of them has ended.
        """
        while not until():
            for child in self.running:
                child.check()
            time.sleep(0.2)

    def wait(self, child: Child, until: Callable[[], bool], problem: str) -> None:
        """Wait until a condition of a child holds.

        **Raises:** `SystemExit` with the problem where that takes longer than `START_TIMEOUT`.
        """
        deadline = time.monotonic() + START_TIMEOUT

        def holds() -> bool:
            if until():
                return True
            if time.monotonic() > deadline:
                child.fail(f"{problem} after {START_TIMEOUT} s")
            return False

        self.watch(holds)

    def finish(self, child: Child) -> None:
        """Wait until a child has ended with status 0."""
        self.watch(lambda: child.process.poll() == 0)
        self.running.remove(child)

    def __enter__(self) -> Self:
        """From here on a signal ends the block, unless it was ignored before, as `nohup` does."""
        self.guardian = Guardian(self.mark)
        for number in END_SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                self.previous_handlers[number] = signal.signal(number, _stop)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        """End all processes. A signal is not an error: it is how such a command usually ends."""
        for number in self.previous_handlers:
            signal.signal(number, signal.SIG_IGN)
        try:
            if self.end_message:
                with suppress(OSError):  # the terminal is gone
                    Console().print(self.end_message)
        finally:
            self.end()
        for number, handler in self.previous_handlers.items():
            signal.signal(number, handler)
        return isinstance(error, Stopped)

    def end(self) -> None:
        """End one layer after the other, and then the guardian."""
        end_layers(self.mark, {child.process.pid: child.layer for child in self.running})
        for child in self.running:
            child.process.kill()
            child.process.wait()
        self.running = []
        self.guardian.dismiss()


def reason_in(log: str) -> str:
    """Return the last error in a log, or else its last line, as the end of a message; empty for an empty log."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
    return "".join(f": {redacted(line)}" for line in (errors or lines)[-1:])


def _stop(*_: object) -> None:
    raise Stopped

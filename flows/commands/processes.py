"""Processes that a command starts, watches and ends, with all that they have started themselves."""

import os
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

import psutil
from rich.console import Console

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
MARK = "TIDECAST_STARTED_BY"
"""Set in the environment of what is started, and inherited by all that it starts: flow runs leave their worker's
session, and are found by it."""
PATIENCE, SLOWEST = 6, 120
"""Seconds that a process gets to end by itself, and to be ready."""


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
        lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines()] if self.log else []
        errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
        reason = "".join(f": {line}" for line in (errors or [line for line in lines if line])[-1:])
        raise SystemExit(f"tidecast: {self.name} {how}{reason} ({self.said})")

    @property
    def said(self) -> str:
        """Where to read what it said."""
        return f"log: {self.log}" if self.log else "its lines are above"


@dataclass
class Children:
    """The processes of one command; within the `with` block a signal ends it, and its end ends them.

    A layer rests on those below it: the highest ends first, and what it has left behind with it. `farewell` is said
    when the end begins.
    """

    farewell: str = ""
    mark: str = field(default_factory=lambda: secrets.token_hex(8))
    running: list[Child] = field(default_factory=list)
    before: dict[signal.Signals, Any] = field(default_factory=dict)

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
        """End a layer after the other.

        A Prefect worker that is told to end kills its flow runs at once, which then look as if they ran for ever. So
        what a layer has started is ended first, and can still say so, while the layer is held and starts no more.
        """
        for layer in sorted({child.layer for child in self.running} | {0}, reverse=True):
            ending = [child.process for child in self.running if child.layer == layer]
            for process in ending:
                process.send_signal(signal.SIGSTOP)
            end_marked(self.mark, kept={child.process.pid for child in self.running})
            for process in ending:
                process.terminate()
                process.send_signal(signal.SIGCONT)
            deadline = time.monotonic() + PATIENCE
            for process in ending:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, deadline - time.monotonic()))
                process.kill()
                process.wait()
            self.running = [child for child in self.running if child.layer != layer]
            end_marked(self.mark, kept={child.process.pid for child in self.running})


def _stop(*_: object) -> None:
    raise Stopped


def end_marked(mark: str, kept: set[int] | None = None) -> int:
    """End every process that carries the mark, but for those of some sessions; how many there were."""
    left = [process for process in marked(mark) if _session(process) not in (kept or set())]
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    deadline = time.monotonic() + PATIENCE
    while any(map(_runs, left)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for process in filter(_runs, left):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return len(left)


def _runs(process: psutil.Process) -> bool:
    """Whether a process has not ended; one whose parent has not heard of its end yet has."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _session(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except ProcessLookupError:
        return None


def marked(mark: str) -> list[psutil.Process]:
    """The processes that carry the mark."""
    everything = psutil.process_iter(["environ"])
    return [process for process in everything if (process.info["environ"] or {}).get(MARK) == mark]

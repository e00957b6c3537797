"""Processes of one command: all carry a mark in their environment, by which they are found and ended."""

import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import psutil

MARK = "TIDECAST_STARTED_BY"
"""Variable in the environment of each process that a command starts. Child processes inherit it: flow runs, which leave
the session of their worker, are found by it."""
END_TIMEOUT = 6
"""Seconds that a process gets to end by itself."""


def marked(mark: str) -> list[psutil.Process]:
    """Return the processes that carry the mark."""
    processes = psutil.process_iter(["environ"])
    return [process for process in processes if (process.info["environ"] or {}).get(MARK) == mark]


def end_marked(mark: str, spared_sessions: Iterable[int] = ()) -> int:
    """End all processes that carry the mark, except those of some sessions; returns how many there were."""
    ending = [process for process in marked(mark) if _session(process) not in set(spared_sessions)]
    _end(ending)
    return len(ending)


def end_leftovers(lock_content: Mapping[str, Any]) -> int:
    """End the processes of a `tidecast up` that was killed together with its guardian; returns how many there were.

    `lock_content` is what the killed process has left in the lock of the folder.
    """
    return end_marked(lock_content["mark"]) if "mark" in lock_content else 0


def end_layers(mark: str, layers: Mapping[int, int]) -> None:
    """End all processes that carry the mark, layer by layer.

    `layers` are the layers of the processes that the command itself has started, by process id. A layer uses those
    below it, so the highest is ended first. A Prefect worker that is asked to end kills its flow runs at once, and they
    would seem to run for ever. So the processes of a layer are suspended first, which keeps them from starting more;
    what they have started is ended, and can still report it; then they are ended themselves.
    """
    processes = {process.pid: process for process in marked(mark)}  # a pid may belong to another process by now
    remaining = {pid: layer for pid, layer in layers.items() if pid in processes}
    for layer in sorted({*remaining.values(), 0}, reverse=True):
        ending = [processes[pid] for pid in remaining if remaining[pid] == layer]
        for process in ending:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        end_marked(mark, spared_sessions=remaining)
        _end(ending)
        remaining = {pid: other for pid, other in remaining.items() if other != layer}
        end_marked(mark, spared_sessions=remaining)


def _end(processes: list[psutil.Process]) -> None:
    """Ask processes to end, and kill those that do not in time."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
            process.resume()  # a suspended process does not receive the signal
    deadline = time.monotonic() + END_TIMEOUT
    while any(map(_runs, processes)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for process in filter(_runs, processes):
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _runs(process: psutil.Process) -> bool:
    """Return whether a process still runs; a zombie, whose parent has not yet asked for its status, does not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _session(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except ProcessLookupError:
        return None

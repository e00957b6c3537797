"""Processes that belong together: all carry a mark in their environment, by which they are found and ended."""

import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress

import psutil

MARK = "TIDECAST_STARTED_BY"
"""Set in the environment of what is started, and inherited by all that it starts: flow runs leave their worker's
session, and are found by it."""
PATIENCE = 6
"""Seconds that a process gets to end by itself."""


def marked(mark: str) -> list[psutil.Process]:
    """The processes that carry the mark."""
    everything = psutil.process_iter(["environ"])
    return [process for process in everything if (process.info["environ"] or {}).get(MARK) == mark]


def end_marked(mark: str, kept: Iterable[int] = ()) -> int:
    """End every process that carries the mark, but for those of some sessions; how many there were."""
    left = [process for process in marked(mark) if _session(process) not in set(kept)]
    _end(left)
    return len(left)


def end_layers(mark: str, layers: Mapping[int, int]) -> None:
    """End every process that carries the mark; `layers` says where those stand that the command itself has started.

    A layer rests on those below it: the highest ends first. A Prefect worker that is told to end kills its flow runs at
    once, which then look as if they ran for ever. So what a layer has started is ended first, and can still say so,
    while the layer is held and starts no more.
    """
    found = {process.pid: process for process in marked(mark)}  # a number may mean another process by now
    left = {pid: layer for pid, layer in layers.items() if pid in found}
    for layer in sorted({*left.values(), 0}, reverse=True):
        ending = [found[pid] for pid in left if left[pid] == layer]
        for process in ending:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        end_marked(mark, kept=left)
        _end(ending)
        left = {pid: other for pid, other in left.items() if other != layer}
        end_marked(mark, kept=left)


def _end(processes: list[psutil.Process]) -> None:
    """Ask them to end, and kill those that do not."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
            process.resume()  # what is held does not hear it
    deadline = time.monotonic() + PATIENCE
    while any(map(_runs, processes)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for process in filter(_runs, processes):
        with suppress(psutil.NoSuchProcess):
            process.kill()


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

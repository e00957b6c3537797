"""Locks between processes: files that the system unlocks when the process that holds them ends, in whatever way."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

STATE_FOLDER = Path(".tidecast")
"""Locks, logs and run states, below the folder in which a command runs."""


class Lock:
    """A lock file, held by one process at a time, which every process can read."""

    def __init__(self, path: Path):
        self.path = path
        self.descriptor: int | None = None

    def acquire(self, wait: bool = True) -> bool:
        """Acquire the lock; its file is created if need be.

        Waits while another process holds the lock, or returns False then if `wait` is false.

        **Raises:** `OSError` if the file cannot be opened.
        """
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_open_at(descriptor, self.path):
                    self.descriptor = descriptor
                    return True
            except BlockingIOError:
                return False
            finally:
                if self.descriptor != descriptor:  # held by another, or of a file that was removed meanwhile
                    os.close(descriptor)

    def write(self, content: dict[str, Any]) -> None:
        """Replace the content of the file; the lock has to be held."""
        assert self.descriptor is not None, "the lock is not held"  # noqa: S101
        data = json.dumps(content).encode() if content else b""
        os.pwrite(self.descriptor, data, 0)
        os.ftruncate(self.descriptor, len(data))

    def release(self) -> None:
        """Release the lock; the file stays."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None

    def __enter__(self) -> Self:
        """Acquire the lock, if it is not held yet, waiting as long as that takes."""
        if self.descriptor is None:
            self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the lock."""
        self.release()


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock with this file."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def read_content(path: Path) -> dict[str, Any]:
    """Read what was last written to a lock file, even by a process that is gone; empty if it is not whole.

    **Raises:** `OSError` if the file cannot be read.
    """
    try:
        return dict(json.loads(path.read_bytes()))
    except (TypeError, ValueError):
        return {}


@contextmanager
def locked(name: str, folder: Path = Path()) -> Iterator[Path]:
    """Hold the lock of this name in a folder, after waiting for other processes; yields the folder's `.tidecast`."""
    state_folder = folder / STATE_FOLDER
    state_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with Lock(state_folder / f"{name}.lock"):
        yield state_folder


def _is_open_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is still the one at a path, and was not removed or replaced."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False

"""One `tidecast up` a folder: a lock that ends with its process, and says where the servers of the folder are."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import InputError

STATE_FOLDER = Path(".tidecast")
"""Logs and the lock, in the folder in which `tidecast up` was started."""
LOCK = STATE_FOLDER / "lock"


@dataclass(frozen=True)
class FolderLock:
    """The lock, held; `left` is what a process that was killed has left in it."""

    descriptor: int
    left: dict[str, Any]

    def write(self, content: dict[str, Any]) -> None:
        """Say something of this process to those that find the lock held."""
        data = json.dumps({"pid": os.getpid(), **content}).encode() if content else b""
        os.pwrite(self.descriptor, data, 0)
        os.ftruncate(self.descriptor, len(data))


@contextmanager
def hold_folder(folder: Path) -> Iterator[FolderLock]:
    """Hold the lock of a folder, which is made if need be.

    **Raises:** `InputError` where another process holds it, or the folder cannot be written.
    """
    try:
        (folder / STATE_FOLDER).mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise InputError(
            f"{folder} cannot hold the data ({error.strerror}); go to a folder that you may write"
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = _content(descriptor).get("pid")
        raise InputError(f"tidecast up already runs in {folder}, as process {pid}; end that one first") from None
    try:
        lock = FolderLock(descriptor, _content(descriptor))
        yield lock
        lock.write({})
    finally:
        os.close(descriptor)


def server_environment(folder: Path) -> dict[str, str]:
    """The environment that leads to the servers which `tidecast up` runs in a folder; empty where it does not run."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:
        return {}
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return dict(_content(descriptor).get("environment", {}))
    finally:
        os.close(descriptor)
    return {}


def _content(descriptor: int) -> dict[str, Any]:
    try:
        return dict(json.loads(os.pread(descriptor, 65536, 0)))
    except ValueError:
        return {}

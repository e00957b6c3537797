"""The lock of `tidecast up`: one for each folder, whose content leads other commands to the servers of the folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import InputError
from tasks.resuming.locks import STATE_FOLDER, Lock, is_locked, read_content

LOCK = STATE_FOLDER / "lock"


@dataclass(frozen=True)
class FolderLock:
    """The lock of a folder, held; `leftover` is what a killed process has left in it."""

    lock: Lock
    leftover: dict[str, Any]

    def write(self, content: dict[str, Any]) -> None:
        """Tell other processes about this one; an empty content clears the file."""
        self.lock.write({"pid": os.getpid(), **content} if content else {})


@contextmanager
def hold_folder(folder: Path) -> Iterator[FolderLock]:
    """Hold the lock of a folder while the block lasts; the lock file is cleared when the block ends well.

    **Raises:** `InputError` where another process holds it, or the folder cannot be written.
    """
    lock = Lock(folder / LOCK)
    try:
        (folder / STATE_FOLDER).mkdir(mode=0o700, exist_ok=True)
        acquired, content = lock.acquire(wait=False), read_content(lock.path)
    except OSError as error:
        raise InputError(
            f"{folder} cannot hold the data ({error.strerror}); go to a folder that you may write"
        ) from None
    if not acquired:
        pid = content.get("pid")
        raise InputError(f"tidecast up already runs in {folder}, as process {pid}; end that one first")
    with lock:
        folder_lock = FolderLock(lock, content)
        yield folder_lock
        folder_lock.write({})


def server_environment(folder: Path) -> dict[str, str]:
    """Variables that lead to the servers of the `tidecast up` that runs in a folder; empty where none runs."""
    try:
        return dict(read_content(folder / LOCK).get("environment", {})) if is_locked(folder / LOCK) else {}
    except OSError:
        return {}

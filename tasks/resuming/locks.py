"""Turns: what the processes of a folder do one after the other."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(".tidecast")


@contextmanager
def locked(name: str, where: Path = Path()) -> Iterator[Path]:
    """Wait until no other process of a folder is in a block of this name; the turn of one that is killed ends.

    Yields the place for what such a block keeps: `.tidecast` in that folder.
    """
    place = where / FOLDER
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (place / f"{name}.turn").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield place

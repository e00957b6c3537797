"""Writing files that a reader finds whole or not at all."""

import os
from contextlib import suppress
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, even if the process is killed at any moment.

    A pipe or a device is written to as it is.

    **Raises:** `OSError` that names the path if it cannot be written; the old file is then unchanged.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe, say, or /dev/stdout
            path.write_bytes(content)
        else:
            _replace(path.resolve(), content)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # without it the name may lead to the old file after a power cut
    finally:
        os.close(folder)

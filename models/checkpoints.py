"""Checkpoints: the state of a training on disk, from which it goes on bit for bit after its process was killed."""

import hashlib
import re
from pathlib import Path

from safetensors.numpy import load, save

from models.files import write_atomically
from models.network import State

FORMAT = 2
MARK = f"tidecast checkpoint {FORMAT}\n".encode()
"""The first bytes of a checkpoint: what the file is, and the number of its format."""


class CheckpointError(ValueError):
    """A file that is no checkpoint of this training, of another format, or not whole."""


def write_checkpoint(path: Path, state: State, key: str) -> None:
    """Write the state of the training that `key` identifies, whole or not at all, with a checksum of both."""
    content = save(state)
    write_atomically(path, MARK + _checksum(content, key) + content)


def read_checkpoint(path: Path, key: str) -> State:
    """Read back what `write_checkpoint` wrote.

    **Raises:** `FileNotFoundError`; `CheckpointError` if the file has another format, is torn or altered, or
    belongs to another training.
    """
    file = path.read_bytes()
    other = re.match(rb"tidecast checkpoint (\d+)\n", file)
    if other and not file.startswith(MARK):
        raise CheckpointError(
            f"{path} was written by another version of Tidecast (format {other[1].decode()}; this one reads format "
            f"{FORMAT})"
        )
    start = len(MARK) + hashlib.sha256().digest_size
    content = file[start:]
    if file[:start] != MARK + _checksum(content, key):
        raise CheckpointError(f"{path} is torn, altered, or of another training")
    return load(content)


def _checksum(content: bytes, key: str) -> bytes:
    return hashlib.sha256(key.encode() + b"\n" + content).digest()

"""Where a training stands, on disk: so that it goes on bit for bit when its process was killed."""

import hashlib
from pathlib import Path

from safetensors.numpy import load, save

from models.files import write_atomically
from models.network import State

MARK = b"tidecast checkpoint 1\n"
"""The first bytes of a checkpoint: what it is, and in which form."""


class CheckpointError(ValueError):
    """A file that is no checkpoint of this training, or not a whole one."""


def write_checkpoint(path: Path, state: State, key: str) -> None:
    """Write the state of the training that `key` identifies, whole or not at all, with a checksum of both."""
    content = save(state)
    write_atomically(path, MARK + _checksum(content, key) + content)


def read_checkpoint(path: Path, key: str) -> State:
    """Read back what `write_checkpoint` wrote.

    **Raises:** `FileNotFoundError`, and `CheckpointError` where the file is torn, altered, or of another training.
    """
    whole = path.read_bytes()
    start = len(MARK) + hashlib.sha256().digest_size
    content = whole[start:]
    if whole[:start] != MARK + _checksum(content, key):
        raise CheckpointError(f"{path} is torn, altered, or of another training")
    return load(content)


def _checksum(content: bytes, key: str) -> bytes:
    return hashlib.sha256(key.encode() + b"\n" + content).digest()

"""A file that grows line by line, and from which no torn or altered line is read."""

import json
import logging
import os
import zlib
from pathlib import Path
from typing import Any

log = logging.getLogger("tidecast")


class Journal:
    """A list of values on disk, each a line of JSON after its checksum; `recovered` holds those read when opened.

    Opening cuts off whatever follows the last whole line. It logs a warning about an altered line, but not about an
    unfinished last one: that is what a killed process leaves.
    """

    def __init__(self, path: Path):
        self.path, self.unwritten = path, b""
        content = path.read_bytes() if path.exists() else b""
        self.recovered: list[Any] = []
        size = 0
        for line in content.split(b"\n")[:-1]:
            if line[:9] != _checksum(line[9:]):
                log.warning("%s is altered after line %d; the rest of it is ignored", path, len(self.recovered))
                break
            self.recovered.append(json.loads(line[9:]))
            size += len(line) + 1
        if size < len(content):
            os.truncate(path, size)

    def append(self, value: Any) -> None:
        """Append a value in memory; `write` writes it to disk."""
        line = json.dumps(value).encode()
        self.unwritten += _checksum(line) + line + b"\n"

    def write(self) -> None:
        """Write what was appended to disk; what cannot be written is tried again at the next call.

        **Raises:** `OSError` that names the path.
        """
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                while self.unwritten:
                    self.unwritten = self.unwritten[os.write(descriptor, self.unwritten) :]
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.path)) from None


def _checksum(line: bytes) -> bytes:
    return f"{zlib.crc32(line):08x} ".encode()

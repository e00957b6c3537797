"""A file that grows by a line at a time, and of which no line is read that is torn or altered."""

import json
import logging
import os
import zlib
from pathlib import Path
from typing import Any

log = logging.getLogger("tidecast")


class Journal:
    """Values noted one after the other, each a line of JSON behind its checksum; `read` holds those found at first.

    Whatever follows the first line that is not whole is cut off, and told, unless it is the last one alone, in which a
    process was killed.
    """

    def __init__(self, path: Path):
        self.path, self.owed = path, b""
        content = path.read_bytes() if path.exists() else b""
        self.read: list[Any] = []
        kept = 0
        for line in content.split(b"\n")[:-1]:
            if line[:9] != _checksum(line[9:]):
                log.warning("%s is altered behind line %d, which is the last that counts", path, len(self.read))
                break
            self.read.append(json.loads(line[9:]))
            kept += len(line) + 1
        if kept < len(content):
            os.truncate(path, kept)

    def note(self, value: Any) -> None:
        """Remember a value until `keep` writes it."""
        told = json.dumps(value).encode()
        self.owed += _checksum(told) + told + b"\n"

    def keep(self) -> None:
        """Have on the disk what was noted; what it does not take is tried again at the next call.

        **Raises:** `OSError`.
        """
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                while self.owed:
                    self.owed = self.owed[os.write(descriptor, self.owed) :]
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.path)) from None


def _checksum(line: bytes) -> bytes:
    return f"{zlib.crc32(line):08x} ".encode()

"""The process that records a run, written down so that others can look for it later."""

import os
import socket
from pathlib import Path

import psutil

BOOT, NUMBERS = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
"""What tells a start of a machine from all others, and a container's process numbers from those of its host."""


def own_process() -> str:
    """Name this process: its host, whose process numbers count, its number, and when it started."""
    return f"{socket.gethostname()} {_numbering()} {os.getpid()} {_started(os.getpid())}"


def is_gone(process: str) -> bool | None:
    """Whether a process has ended; None where that cannot be seen from here, as on another machine."""
    _, *numbering, number, started = process.split()
    if numbering != [_numbering()]:
        return None
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # somebody else's
        pass
    try:
        return _started(int(number)) != started
    except (OSError, psutil.Error):  # which not everybody may look at
        return None


def host_and_number(process: str) -> tuple[str, str]:
    """What a person knows a process by."""
    host, *_, number, _ = process.split()
    return host, number


def _numbering() -> str:
    if not BOOT.exists():
        return f"{psutil.boot_time():.0f}"
    return f"{BOOT.read_text().strip()}/{NUMBERS.stat().st_ino}"


def _started(number: int) -> str:
    """In ticks since the machine started, where there are such: the time of day may be set. Nothing, once it ended."""
    if not BOOT.exists():
        return f"{psutil.Process(number).create_time():.2f}"
    state, *rest = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    return "" if state in "ZX" else rest[18]

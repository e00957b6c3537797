"""Names for processes, by which other processes find out whether the one that records a run still lives."""

import os
import socket
from pathlib import Path

import psutil

BOOT_ID, PID_NAMESPACE = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
"""Files that identify the current start of the machine, and the container in which process numbers are unique."""


def this_process() -> str:
    """Name this process: its host, the namespace of its number, the number, and when it started."""
    return f"{socket.gethostname()} {pid_namespace()} {os.getpid()} {start_time(os.getpid())}"


def is_gone(process: str) -> bool | None:
    """Whether a process has ended; None if that cannot be seen from here, as on another machine."""
    _, *namespace, number, started = process.split()
    if namespace != [pid_namespace()]:
        return None
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # of another user
        pass
    try:
        return start_time(int(number)) != started
    except (OSError, psutil.Error):  # not readable for this user
        return None


def host_and_number(process: str) -> tuple[str, str]:
    """Return the host and the number of a process, for messages."""
    host, *_, number, _ = process.split()
    return host, number


def pid_namespace() -> str:
    """Return the namespace in which process numbers are unique: a start of this machine, and a container."""
    if not BOOT_ID.exists():
        return f"{psutil.boot_time():.0f}"
    return f"{BOOT_ID.read_text().strip()}/{PID_NAMESPACE.stat().st_ino}"


def start_time(number: int) -> str:
    """Return when a process started, empty once it has ended: ticks since the machine's start, as clocks may be set."""
    if not BOOT_ID.exists():
        return f"{psutil.Process(number).create_time():.2f}"
    state, *rest = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    return "" if state in "ZX" else rest[18]

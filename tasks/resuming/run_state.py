"""The record of a flow run on disk: what it takes to go on after its process was killed, or its tracker went away."""

import fcntl
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from itertools import chain, count
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydantic import BaseModel

import models
from models.errors import InputError
from models.files import write_atomically

log = logging.getLogger("tidecast")
RUN_STATES = Path(".tidecast", "records")
"""In the folder where a flow runs; a record goes when its run is recorded whole."""
CONTENT, LOCK = "record.json", "lock"
SAYS = {"flow", "parameters", "device", "id", "undelivered"}


@dataclass
class RunState:
    """A flow run's record, in the hands of this process alone: its folder and what it says.

    `flow` and `parameters` start the same again on the same `device`; `id` is a tag of its MLflow runs, which are there
    already where another process `began` them; `undelivered` tells that only the tracker's answer was missing.
    """

    folder: Path
    key: str
    flow: str
    parameters: dict[str, Any]
    device: str
    id: str
    began: bool
    undelivered: bool = False

    def keep(self) -> None:
        """Write down what it says."""
        content = {name: getattr(self, name) for name in sorted(SAYS)}
        write_atomically(self.folder / CONTENT, json.dumps(content, indent=2).encode())


@contextmanager
def open_run_state(flow: str, settings: Mapping[str, Any], sha256: str, device: str) -> Iterator[RunState]:
    """The record that a run of the same flow with the same settings, data and code has left behind, or a new one.

    It is gone when the block ends well, and is kept otherwise.

    **Raises:** `InputError` where the folder cannot be written.
    """
    parameters = json.loads(json.dumps(settings, default=_as_dictionary))
    key = resume_key(flow, parameters, sha256, device)
    try:
        folder, descriptor = _hold_first_free(key)
        left = read_run_state(folder)
        known = left.get("id", uuid4().hex), bool(left), bool(left.get("undelivered"))
        run_state = RunState(folder, key, flow, parameters, device, *known)
        run_state.keep()
    except OSError as error:
        raise InputError(
            f"{_place(RUN_STATES)} cannot be written ({error.strerror}); go to a folder that you may write, on a disk "
            "with room"
        ) from None
    try:
        yield run_state
        _remove(folder)
    finally:
        os.close(descriptor)


def resume_key(flow: str, parameters: Mapping[str, Any], sha256: str, device: str) -> str:
    """What two runs share that come to the same: flow, settings, data, device and code."""
    told = json.dumps([flow, parameters, sha256, device, code_sha256()], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def undelivered_run_states() -> list[Path]:
    """The folders of those records in this folder that wait for a tracker, and that no living process holds."""
    found = [path.parent for path in sorted(RUN_STATES.glob(f"*/{CONTENT}"))]
    return [folder for folder in found if read_run_state(folder).get("undelivered") and not _is_held(folder)]


def read_run_state(folder: Path) -> dict[str, Any]:
    """What a record says; nothing where it is gone or is none."""
    try:
        content = json.loads((folder / CONTENT).read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) and content.keys() >= SAYS else {}


@cache
def code_sha256() -> str:
    """A digest of what trains: the code of the models, and the versions of what they stand on."""
    code = hashlib.sha256(f"{version('torch')} {version('numpy')} {version('numba')}".encode())
    package = Path(models.__file__).parent
    for path in sorted(package.rglob("*.py")):
        code.update(path.relative_to(package).as_posix().encode() + b"\n" + path.read_bytes())
    return code.hexdigest()


def _hold_first_free(key: str) -> tuple[Path, int]:
    """The folder of a record of that key that no living process holds, one that is there first, and the lock on it."""
    numbers = [path.name.rpartition("-")[2] for path in RUN_STATES.glob(f"{key}-*")]
    there = sorted(int(number) for number in numbers if number.isdecimal())
    for number in chain(there, count(1)):
        folder = RUN_STATES / f"{key}-{number}"
        while True:
            RUN_STATES.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                folder.mkdir(mode=0o700, exist_ok=True)
                descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            except FileNotFoundError:  # another process has just done with it
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(descriptor).st_ino == (folder / LOCK).stat().st_ino:
                    return folder, descriptor
            except BlockingIOError:
                os.close(descriptor)
                break
            except FileNotFoundError:
                pass
            os.close(descriptor)  # of a record that is gone
    raise AssertionError


def _is_held(folder: Path) -> bool:
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _remove(folder: Path) -> None:
    """Remove a record whose run is recorded whole; where that fails, it does no harm."""
    done = folder.with_name(f".{folder.name}.{os.getpid()}.done")
    try:
        folder.rename(done)  # at once, so that nobody finds half of it
        shutil.rmtree(done)
    except FileNotFoundError:  # somebody else has removed it
        return
    except OSError as error:
        log.warning("%s cannot be removed (%s), and is needed no more", folder, error.strerror)


def _place(path: Path) -> Path:
    """Where a path leads, as far as that can be told: the current folder may be gone."""
    with suppress(FileNotFoundError):
        return path.absolute()
    return path


def _as_dictionary(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)

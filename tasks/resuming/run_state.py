"""The run state on disk: what a flow run needs to be resumed after its process was killed or its tracker went away."""

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
from tasks.resuming.locks import STATE_FOLDER, Lock, is_locked

log = logging.getLogger("tidecast")
RUN_STATES = STATE_FOLDER / "run_states"
"""In the folder where a flow runs; a run state is removed once its run is recorded whole."""
CONTENT, LOCK = "run_state.json", "lock"
FORMAT = 2
FIELDS = {"flow", "parameters", "device", "id", "undelivered"}
OUTDATED_CONTENTS = (STATE_FOLDER / "records", "record.json")
"""Where earlier versions kept run states, which this one cannot resume, and the name of their file."""


@dataclass
class RunState:
    """The run state of one flow run, whose folder this process has locked.

    `flow`, `parameters` and `device` start the same run again, and `id` is a tag of its MLflow runs. `undelivered` is
    set where the run ended because the tracker was away. `key` is the same for all runs with identical results.
    """

    folder: Path
    key: str
    flow: str
    parameters: dict[str, Any]
    device: str
    id: str
    undelivered: bool = False

    def save(self) -> None:
        """Write the run state to disk.

        **Raises:** `OSError` that names the path.
        """
        content = {"format": FORMAT, **{name: getattr(self, name) for name in sorted(FIELDS)}}
        write_atomically(self.folder / CONTENT, json.dumps(content, indent=2).encode())


@contextmanager
def open_run_state(flow: str, settings: Mapping[str, Any], sha256: str, device: str) -> Iterator[RunState]:
    """Yield the run state that an interrupted run with the same flow, settings, data and code has left, or a new one.

    It is removed when the block ends well, and stays on disk otherwise.

    **Raises:** `InputError` if the folder cannot be written.
    """
    parameters = json.loads(json.dumps(settings, default=_as_dictionary))
    key = resume_key(flow, parameters, sha256, device)
    try:
        folder, lock = _lock_first_free(key)
        interrupted = read_run_state(folder)
        run_id, undelivered = interrupted.get("id", uuid4().hex), bool(interrupted.get("undelivered"))
        run_state = RunState(folder, key, flow, parameters, device, run_id, undelivered)
        run_state.save()
    except OSError as error:
        raise InputError(
            f"{_absolute(RUN_STATES)} cannot be written ({error.strerror}); go to a folder that you may write, on a "
            "disk with room"
        ) from None
    with lock:
        yield run_state
        _remove(folder)


def resume_key(flow: str, parameters: Mapping[str, Any], sha256: str, device: str) -> str:
    """Return the key of runs with identical results: a digest of flow, settings, data, device and code."""
    content = json.dumps([flow, parameters, sha256, device, code_sha256()], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def undelivered_run_states() -> list[Path]:
    """Return the folders of run states here that wait for a tracker, without those that a living process has locked."""
    folders = [path.parent for path in sorted(RUN_STATES.glob(f"*/{CONTENT}"))]
    return [folder for folder in folders if read_run_state(folder).get("undelivered") and not is_locked(folder / LOCK)]


def outdated_run_states() -> list[Path]:
    """Return the folders of run states here that an earlier version of Tidecast left, without those that are locked."""
    root, content = OUTDATED_CONTENTS
    folders = [path.parent for path in sorted(root.glob(f"*/{content}"))]
    return [folder for folder in folders if not is_locked(folder / LOCK)]


def read_run_state(folder: Path) -> dict[str, Any]:
    """Read the content of a run state; empty if there is none, or none of this format."""
    try:
        content = json.loads((folder / CONTENT).read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        return {}
    return content if content.keys() >= FIELDS else {}


@cache
def code_sha256() -> str:
    """Return a digest of all that determines a training's result: the code of `models` and its libraries' versions."""
    code = hashlib.sha256(f"{version('torch')} {version('numpy')} {version('numba')}".encode())
    package = Path(models.__file__).parent
    for path in sorted(package.rglob("*.py")):
        code.update(path.relative_to(package).as_posix().encode() + b"\n" + path.read_bytes())
    return code.hexdigest()


def _lock_first_free(key: str) -> tuple[Path, Lock]:
    """Lock a run state of a key that no living process has locked: an existing one if possible, else a new one."""
    numbers = [path.name.rpartition("-")[2] for path in RUN_STATES.glob(f"{key}-*")]
    existing = sorted(int(number) for number in numbers if number.isdecimal())
    for number in chain(existing, count(1)):
        folder = RUN_STATES / f"{key}-{number}"
        lock = _lock_folder(folder)
        if lock:
            return folder, lock
    raise AssertionError


def _lock_folder(folder: Path) -> Lock | None:
    """Lock a run state's folder, which is made if need be; None if another process has locked it."""
    lock = Lock(folder / LOCK)
    while True:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # another process has just removed the folder
            folder.mkdir(mode=0o700, exist_ok=True)
            return lock if lock.acquire(wait=False) else None


def _remove(folder: Path) -> None:
    """Remove the run state of a run that is recorded whole; a failure is only logged, as it does no harm."""
    renamed = folder.with_name(f".{folder.name}.{os.getpid()}.done")
    try:
        folder.rename(renamed)  # at once, so that nobody finds half of it
        shutil.rmtree(renamed)
    except FileNotFoundError:  # somebody else has removed it
        return
    except OSError as error:
        log.warning("%s is no longer needed, but cannot be removed (%s)", folder, error.strerror)


def _absolute(path: Path) -> Path:
    """Return the absolute path, or the path as it is if the current folder is gone."""
    with suppress(FileNotFoundError):
        return path.absolute()
    return path


def _as_dictionary(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)

"""A disk that fills up, turns read-only or loses the folder: one clear line, and no file is ever read in part."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from prefect.settings import get_current_settings

from models.checkpoints import read_checkpoint
from models.files import write_atomically
from tasks.resuming.run_state import RUN_STATES
from tests.support.trackers import MODELS, TRAIN, Command, check_whole, done, only_run_state

FULL = "No space left on device"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"mounting a small disk is not allowed here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def surroundings(prefect_server: None, tmp_path: Path) -> dict[str, str]:
    return {
        "PREFECT_API_URL": str(get_current_settings().api.url),
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "TIDECAST_PATIENCE": "1",
    }


def elsewhere(folder: Path, name: str) -> str:
    """URI of a database of MLflow with an experiment whose files are not where the training runs."""
    uri = f"sqlite:///{folder}/mlflow.db"
    MlflowClient(uri).create_experiment(name, artifact_location=(folder / "artifacts").as_uri())
    return uri


def fill(disk: Path) -> Path:
    """Take all the room there is."""
    path = disk / "filling"
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))
    assert shutil.disk_usage(disk).free == 0
    return path


def until_checkpoint(running: Command, folder: Path) -> None:
    """Wait until the first model has a checkpoint."""
    while not list(folder.glob(f"{RUN_STATES}/*/elman.checkpoint")):
        assert running.process.poll() is None, running.end()
        time.sleep(0.01)


def checked_epoch(folder: Path) -> int:
    """The epoch of the last checkpoint."""
    kept = only_run_state(folder)
    state = read_checkpoint(kept / "elman.checkpoint", f"{kept.name.rpartition('-')[0]} elman")
    return int(state["epoch"])


def test_a_full_disk_ends_a_run_in_one_line_and_the_same_command_goes_on_when_there_is_room(
    disk: Path, surroundings: dict[str, str]
) -> None:
    """MLflow's database and files are on it too."""
    filling, arguments = fill(disk), [*TRAIN, "--series.name", "full"]
    status, lines = done(disk, *arguments, **surroundings)
    assert status in (1, 2)
    assert lines[-1].startswith("tidecast: ")
    assert "disk is full" in lines[-1] or FULL in lines[-1]
    filling.unlink()
    running = Command(disk, *arguments, **surroundings)
    until_checkpoint(running, disk)
    filling = fill(disk)
    assert running.end() == 1
    assert f"elman: no checkpoint can be written to {only_run_state(disk).relative_to(disk)} ({FULL})" in "".join(
        running.lines
    )
    assert running.lines[-1].startswith(f"tidecast: the database {disk}/mlflow.db cannot be used (")
    assert 1 <= checked_epoch(disk) < MODELS["elman"]
    filling.unlink()
    status, lines = done(disk, *arguments, **surroundings)
    assert status == 0, lines
    check_whole(f"sqlite:///{disk}/mlflow.db", "full", disk)


def test_a_full_disk_stops_no_training_that_is_recorded_elsewhere(
    disk: Path, surroundings: dict[str, str], tmp_path: Path
) -> None:
    uri = elsewhere(tmp_path, "apart")
    running = Command(disk, *TRAIN, "--series.name", "apart", MLFLOW_TRACKING_URI=uri, **surroundings)
    until_checkpoint(running, disk)
    fill(disk)
    assert running.end() == 0
    check_whole(uri, "apart", disk)


def test_on_a_full_disk_a_file_is_the_old_one_or_not_there(disk: Path) -> None:
    old, new = disk / "forecast.parquet", disk / "summary.json"
    write_atomically(old, b"old" * 1000)
    filling = fill(disk)
    for path in (old, new):
        with pytest.raises(OSError, match=FULL) as raised:
            write_atomically(path, b"new" * 10000)
        assert raised.value.filename == str(path)
    assert old.read_bytes() == b"old" * 1000
    assert set(disk.iterdir()) == {old, filling}


def test_a_folder_that_turns_read_only_ends_a_run_in_one_line_and_the_same_command_goes_on(
    disk: Path, surroundings: dict[str, str], tmp_path: Path
) -> None:
    uri = elsewhere(tmp_path, "locked")
    arguments = [*TRAIN, "--series.name", "locked"]
    running = Command(disk, *arguments, MLFLOW_TRACKING_URI=uri, **surroundings)
    until_checkpoint(running, disk)
    place = only_run_state(disk).relative_to(disk)
    with read_only(disk / ".tidecast"):
        assert running.end() == 1
        assert 1 <= checked_epoch(disk) <= MODELS["elman"]
    assert f"no checkpoint can be written to {place} (Read-only file system); training" in "".join(running.lines)
    assert running.lines[-1].startswith(f"tidecast: {disk}/.tidecast/")
    assert running.lines[-1].endswith(": Read-only file system\n")
    with read_only(disk):
        for environment in ({}, {"MLFLOW_TRACKING_URI": uri}):
            status, lines = done(disk, *arguments, **environment, **surroundings)
            assert status in (1, 2), lines
            assert lines[-1].startswith("tidecast: ")
            assert "ead-only file system" in lines[-1]
            assert str(disk) in lines[-1]
    status, lines = done(disk, *arguments, MLFLOW_TRACKING_URI=uri, **surroundings)
    assert status == 0, lines
    check_whole(uri, "locked", disk)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make a folder read-only while the block lasts; files that are open already can still be written."""
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_run_state_that_vanishes_stops_no_training(surroundings: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    running = Command(folder, *TRAIN, "--series.name", "bare", **surroundings)
    until_checkpoint(running, folder)
    shutil.rmtree(folder / ".tidecast")
    assert running.end() == 0
    assert f"no checkpoint can be written to {RUN_STATES}/" in "".join(running.lines)
    check_whole(f"sqlite:///{folder}/mlflow.db", "bare", folder)


def test_a_folder_that_vanishes_ends_a_run_in_one_line(surroundings: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    running = Command(folder, *TRAIN, "--series.name", "gone", **surroundings)
    until_checkpoint(running, folder)
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)  # while things are written in it
    assert running.end() == 1
    assert running.lines[-1] == f"tidecast: {folder}/.tidecast: No such file or directory\n"

"""The tracker goes away during a training, in every way that it can: training goes on, and nothing is lost."""

import json
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.settings import get_current_settings

from flows.services.locks import hold_folder
from tasks.resuming.run_state import CONTENT
from tests.support.services import free_port
from tests.support.trackers import (
    TRAIN,
    Command,
    TrackingServer,
    check_whole,
    done,
    only_run_state,
    proxy,
    tracking_server,
)

AWAY, BACK = "cannot be used now", "can be used again"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, prefect_server: None) -> Iterator[TrackingServer]:
    with tracking_server(tmp_path_factory.mktemp("store")) as running:
        yield running


@pytest.fixture
def surroundings(prefect_server: None) -> dict[str, str]:
    """Environment variables that a user sets."""
    return {"PREFECT_API_URL": str(get_current_settings().api.url), "TIDECAST_PATIENCE": "100"}


def train_on(running: Command) -> None:
    """Wait until the tracker is missed, and training has gone on after that."""
    running.until(AWAY)
    running.until(": epoch ")


def test_nothing_is_lost_by_a_server_that_is_killed_and_one_that_freezes(
    store: TrackingServer, surroundings: dict[str, str], tmp_path: Path
) -> None:
    running = Command(tmp_path, *TRAIN, "--series.name", "killed", MLFLOW_TRACKING_URI=store.url, **surroundings)
    running.until("elman: epoch 1 ")
    store.kill()
    train_on(running)
    store.start()
    running.until(BACK)
    store.signal(signal.SIGSTOP)
    running.until(AWAY)
    store.signal(signal.SIGCONT)
    assert running.end() == 0
    check_whole(store.url, "killed", tmp_path)


def test_nothing_is_lost_by_a_proxy_that_answers_errors_or_too_late(
    store: TrackingServer, surroundings: dict[str, str], tmp_path: Path
) -> None:
    with proxy(store.port) as between:
        running = Command(tmp_path, *TRAIN, "--series.name", "proxied", MLFLOW_TRACKING_URI=between.url, **surroundings)
        running.until("elman: epoch 1 ")
        for trouble in (500, 503, 2.5):
            between.breaks = trouble
            running.until(AWAY)
            between.breaks = 0
            running.until(BACK)
        between.breaks = 0.05  # slow from here on
        assert running.end() == 0
    check_whole(store.url, "proxied", tmp_path)


def test_the_server_of_the_folder_is_followed_to_its_new_address(
    store: TrackingServer, surroundings: dict[str, str], tmp_path: Path
) -> None:
    with hold_folder(tmp_path) as lock:
        lock.write({"environment": {"MLFLOW_TRACKING_URI": store.url}})
        running = Command(tmp_path, *TRAIN, "--series.name", "moved", **surroundings)
        running.until("elman: epoch 1 ")
        store.kill()
        train_on(running)
        store.start(free_port())
        lock.write({"environment": {"MLFLOW_TRACKING_URI": store.url}})
        assert running.end() == 0
    check_whole(store.url, "moved", tmp_path)


@pytest.mark.parametrize("how", ["sync at a new address", "sync beside an outdated run state", "the same command"])
def test_what_a_server_never_took_is_kept_and_delivered(
    how: str, store: TrackingServer, surroundings: dict[str, str], tmp_path: Path
) -> None:
    surroundings["TIDECAST_PATIENCE"] = "1"
    arguments = [*TRAIN, "--series.name", how.replace(" ", "-")]
    running = Command(tmp_path, *arguments, MLFLOW_TRACKING_URI=store.url, **surroundings)
    running.until("elman: epoch 1 ")
    store.kill()
    train_on(running)
    assert running.end() == 1
    kept = only_run_state(tmp_path)
    assert running.lines[-1] == (
        f"tidecast: the MLflow server at {store.url} cannot be used (Connection refused); all of it is kept in "
        f"{kept.relative_to(tmp_path)}, and tidecast sync delivers it\n"
    )
    assert json.loads((kept / CONTENT).read_text())["undelivered"]
    delivery = ["sync"] if how.startswith("sync") else arguments
    if how.startswith("sync"):  # while it is away still
        status, lines = done(tmp_path, *delivery, MLFLOW_TRACKING_URI=store.url, **surroundings)
        assert status == 1
        assert lines[-1] == f"tidecast: the MLflow server at {store.url} cannot be used (Connection refused)\n"
    store.start(free_port() if how.startswith("sync") else None)
    outdated = tmp_path / ".tidecast" / "records" / "0123-1"
    if how.endswith("outdated run state"):
        outdated.mkdir(parents=True)
        (outdated / "record.json").write_text("{}")
    status, lines = done(tmp_path, *delivery, MLFLOW_TRACKING_URI=store.url, **surroundings)
    assert status == (2 if outdated.exists() else 0), lines
    if outdated.exists():
        assert lines[-1] == (
            "tidecast: .tidecast/records/0123-1 cannot be delivered: an earlier version of Tidecast left it in a "
            "format that this version cannot read; remove the folder and start the run anew\n"
        )
    assert not any(": epoch " in line for line in lines), "it was trained again"
    check_whole(store.url, arguments[-1], tmp_path)


def test_nothing_is_left_running(store: TrackingServer) -> None:
    with sqlite3.connect(store.folder / "mlflow.db") as database:
        assert set(database.execute("select status from runs")) == {("FINISHED",)}


def test_a_server_that_is_away_from_the_start_is_named_at_once(surroundings: dict[str, str], tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    status, lines = done(tmp_path, *TRAIN, MLFLOW_TRACKING_URI=nowhere, **surroundings)
    assert status == 1
    assert lines[-1] == f"tidecast: the MLflow server at {nowhere} cannot be used (Connection refused)\n"
    assert not (tmp_path / ".tidecast").exists()

"""Fixtures with real servers and stores: the costly ones once in a session, an MLflow database for each module."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # a machine that only tests the models may lack these
    from playwright.sync_api import Browser, Page

    from tests.support.services import PostgreSQL
    from tests.support.stack import Up

os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
with suppress(ImportError):
    from hypothesis import settings

    settings.register_profile("repeatable", derandomize=True, deadline=None)
    settings.load_profile("repeatable")


LONGEST = (
    *("test_production", "test_tracker_away", "test_full_disk", "test_end_to_end", "test_up", "test_killed"),
    *("test_docs", "test_pages", "test_statuses", "test_credentials", "test_many_at_once", "test_command", "test_fuzz"),
)
"""The files that take a minute or more, which are started first: those that wait run beside those that compute."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests by file: the longest first."""
    ranks = {name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(LONGEST)))


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A real Prefect server on loopback, with a database of its own."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture(scope="module")
def mlflow_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty current folder, in which MLflow makes its database."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        yield folder


@pytest.fixture(scope="session")
def postgresql() -> "Iterator[PostgreSQL]":
    """A real PostgreSQL on loopback, in which tests make their own databases."""
    from tests.support import services

    with services.postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """A real Chromium."""
    from tests.support import services

    with services.chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: "Browser") -> "Iterator[Page]":
    """A page that shares nothing with earlier ones. While it is open, `asyncio.run` raises."""
    from tests.support import services

    with services.new_page(browser) as page:
        yield page


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Up]":
    """A running `tidecast up` with its servers and workers."""
    from tests.support.stack import Up

    running = Up(tmp_path_factory.mktemp("up"))
    running.start()
    yield running
    running.end(signal.SIGINT)

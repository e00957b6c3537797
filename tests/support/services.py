"""Real services for tests: ports, a PostgreSQL cluster, a browser."""

import asyncio
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from psycopg import sql

# PostgreSQL refuses to run as root.
AS_POSTGRES = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}


def need(program: str | None, package: str) -> str:
    """Return the path of a program. If it is None, skip the test, or fail it if TIDECAST_EVERY_TEST is 1, as in CI."""
    if program is None:
        give_up = pytest.fail if os.environ.get("TIDECAST_EVERY_TEST") == "1" else pytest.skip
        give_up(f"needs {package}: apt-get install {package}")
    return program


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_for(url: str) -> None:
    """Wait until a server answers, which may take minutes on a busy machine."""
    for _ in range(400):
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"{url} does not answer")


@dataclass(frozen=True)
class PostgreSQL:
    """A running server on 127.0.0.1, and its one user: a superuser with a password."""

    port: int
    user: str = "tidecast"
    password: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)

    def url(self, database: str, driver: str = "") -> str:
        """Return the URL of a database, with a driver for SQLAlchemy: psycopg, or asyncpg for Prefect."""
        return f"postgresql{driver and f'+{driver}'}://{self.user}:{self.password}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str, driver: str = "") -> str:
        """Make a new, empty database and return its URL."""
        with closing(psycopg.connect(self.url("postgres"))) as connection:
            connection.autocommit = True
            connection.cursor().execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        return self.url(database, driver)


@contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    """Run a PostgreSQL cluster in a temporary folder, which is removed at the end."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    path = os.pathsep.join([*map(str, debian), os.environ["PATH"]])
    initdb = need(shutil.which("initdb", path=path), "postgresql")
    server = PostgreSQL(free_port())
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": server.port,
        "unix_socket_directories": "",
        "max_connections": 200,
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
    }
    with tempfile.TemporaryDirectory(prefix="tidecast-postgresql-") as name:
        folder = Path(name)
        (folder / "password").write_text(server.password)
        if AS_POSTGRES:
            for owned in (folder, folder / "password"):
                shutil.chown(owned, "postgres", "postgres")

        def run(program: str, *arguments: str) -> None:
            done = subprocess.run(
                [Path(initdb).with_name(program), "-D", "cluster", *arguments],
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
                **AS_POSTGRES,
            )
            log = folder / "log"
            assert done.returncode == 0, done.stderr + (log.read_text() if log.exists() else "")

        user = (f"--username={server.user}", "--pwfile=password", "--auth=scram-sha-256")
        run("initdb", *user, "--encoding=UTF8", "--no-locale", "--no-sync")
        with (folder / "cluster" / "postgresql.conf").open("a") as conf:
            conf.writelines(f"{key} = '{value}'\n" for key, value in settings.items())
        run("pg_ctl", "start", "--log=log")
        try:
            yield server
        finally:
            run("pg_ctl", "stop", "--mode=fast")


def all_rows(url: str) -> str:
    """Return all rows of all tables of a database as text."""
    with closing(psycopg.connect(url)) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        rows = [
            row
            for (table,) in tables
            for (row,) in connection.execute(sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(table)))
        ]
    return "\n".join(rows)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run the system's Chromium without a window."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = need(next(filter(None, map(shutil.which, names)), None), "chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        loop = asyncio.get_running_loop()
        asyncio._set_running_loop(None)
        try:
            yield browser
        finally:
            asyncio._set_running_loop(loop)
            browser.close()


@contextmanager
def new_page(browser: Browser) -> Iterator[Page]:
    """Open a page in a new context, which shares no cookies or storage with others.

    Playwright marks its event loop as the running one. Inside a running loop `asyncio.run` raises, and some of
    Prefect's functions return coroutines, so the loop is marked only while a page is open.
    """
    asyncio._set_running_loop(browser._loop)
    try:
        with browser.new_context(viewport={"width": 1400, "height": 1000}) as context:
            context.set_default_timeout(30_000)
            yield context.new_page()
    finally:
        asyncio._set_running_loop(None)

"""Passwords in URLs where something goes wrong: nothing that is said, logged or kept tells them."""

import base64
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from tests.support.services import PostgreSQL, free_port
from tests.support.stack import Up, command

SECRET = "s3cr@t/w:örd #1"  # noqa: S105
USER = f"ann:{quote(SECRET, safe='')}"


class Broken(http.server.BaseHTTPRequestHandler):
    """Answers that it is broken."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_error(500)

    do_POST = do_PATCH = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def broken() -> Iterator[str]:
    """Where a server answers everything with status 500."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Broken) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def failed(folder: Path, *arguments: str, up: Up | None = None, **environment: str) -> str:
    """What a command says that fails; no secret is in it, nor in what it, or its Prefect, has written."""
    if up:
        environment["PREFECT_API_URL"] = f"http://127.0.0.1:{up.prefect}/api"
    process = command(folder, *arguments, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0", **environment)
    said = process.communicate(timeout=150)[0]
    assert process.returncode in (1, 2), said
    forms = {SECRET, quote(SECRET), quote(SECRET, safe=""), quote_plus(SECRET), repr(SECRET)[1:-1]}
    forms |= {base64.b64encode(f"ann:{SECRET}".encode()).decode()}
    places = [folder, up.folder] if up else [folder]
    written = {str(path): path.read_bytes() for place in places for path in place.rglob("*") if path.is_file()}
    written["said"] = said.encode()
    assert [place for place, text in written.items() if any(form.encode() in text for form in forms)] == []
    return said


TRAIN = ("train", "elman-sine", "--elman.epochs", "1")


@pytest.mark.parametrize("user", [USER, f"ann:{SECRET}"], ids=["encoded", "as it is"])
def test_mlflow_is_broken_or_not_there(user: str, broken: str, up: Up, tmp_path: Path) -> None:
    for host in (broken, "nowhere.invalid:5000"):
        said = failed(tmp_path, *TRAIN, up=up, MLFLOW_TRACKING_URI=f"http://{user}@{host}")
        assert f"http://{host}" in said


@pytest.mark.parametrize("arguments", [TRAIN, ("worker",)])
def test_prefect_is_broken_or_not_there(arguments: tuple[str, ...], broken: str, tmp_path: Path) -> None:
    for host in (broken, f"127.0.0.1:{free_port()}"):
        said = failed(tmp_path, *arguments, PREFECT_API_URL=f"http://{USER}@{host}/api")
        assert f"http://{host}/api" in said


@pytest.mark.parametrize(
    ("name", "driver", "told"),
    [
        ("PREFECT_SERVER_DATABASE_CONNECTION_URL", "postgresql+asyncpg", "the Prefect server ended with status 3: "),
        ("MLFLOW_BACKEND_STORE_URI", "postgresql+psycopg", "the database postgresql+psycopg://"),
    ],
)
def test_the_database_of_a_server_refuses(
    name: str, driver: str, told: str, postgresql: PostgreSQL, tmp_path: Path
) -> None:
    ports = ["--prefect-port", str(free_port()), "--mlflow-port", str(free_port())]
    said = failed(tmp_path, "up", *ports, **{name: f"{driver}://{USER}@127.0.0.1:{postgresql.port}/postgres"})
    assert f"tidecast: {told}" in said
    assert "password authentication failed" in said

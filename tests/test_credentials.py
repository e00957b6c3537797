"""Passwords in URLs where something goes wrong: nothing that is printed, logged or kept shows them."""

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
    """Answers every request with status 500."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_error(500)

    do_POST = do_PATCH = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def broken() -> Iterator[str]:
    """Host and port of a server that answers every request with status 500."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Broken) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def failed(folder: Path, *arguments: str, up: Up | None = None, **environment: str) -> str:
    """Output of a command that fails; no secret is in it, nor in any file that it or its Prefect has written."""
    if up:
        environment["PREFECT_API_URL"] = f"http://127.0.0.1:{up.prefect}/api"
    process = command(folder, *arguments, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0", **environment)
    output = process.communicate(timeout=150)[0]
    assert process.returncode in (1, 2), output
    forms = {SECRET, quote(SECRET), quote(SECRET, safe=""), quote_plus(SECRET), repr(SECRET)[1:-1]}
    forms |= {base64.b64encode(f"ann:{SECRET}".encode()).decode()}
    places = [folder, up.folder] if up else [folder]
    written = {str(path): path.read_bytes() for place in places for path in place.rglob("*") if path.is_file()}
    written["output"] = output.encode()
    assert [place for place, text in written.items() if any(form.encode() in text for form in forms)] == []
    return output


TRAIN = ("train", "elman-sine", "--elman.epochs", "1")


@pytest.mark.parametrize("user", [USER, f"ann:{SECRET}"], ids=["encoded", "as it is"])
def test_a_broken_or_absent_mlflow_shows_no_password(user: str, broken: str, up: Up, tmp_path: Path) -> None:
    for host in (broken, "nowhere.invalid:5000"):
        output = failed(tmp_path, *TRAIN, up=up, MLFLOW_TRACKING_URI=f"http://{user}@{host}")
        assert f"http://{host}" in output


@pytest.mark.parametrize("arguments", [TRAIN, ("worker",)])
def test_a_broken_or_absent_prefect_shows_no_password(arguments: tuple[str, ...], broken: str, tmp_path: Path) -> None:
    for host in (broken, f"127.0.0.1:{free_port()}"):
        output = failed(tmp_path, *arguments, PREFECT_API_URL=f"http://{USER}@{host}/api")
        assert f"http://{host}/api" in output


@pytest.mark.parametrize(
    ("name", "driver", "message"),
    [
        ("PREFECT_SERVER_DATABASE_CONNECTION_URL", "postgresql+asyncpg", "the Prefect server ended with status 3: "),
        ("MLFLOW_BACKEND_STORE_URI", "postgresql+psycopg", "the database postgresql+psycopg://"),
    ],
)
def test_a_server_refused_by_its_database_shows_no_password(
    name: str, driver: str, message: str, postgresql: PostgreSQL, tmp_path: Path
) -> None:
    ports = ["--prefect-port", str(free_port()), "--mlflow-port", str(free_port())]
    output = failed(tmp_path, "up", *ports, **{name: f"{driver}://{USER}@127.0.0.1:{postgresql.port}/postgres"})
    assert f"tidecast: {message}" in output
    assert "password authentication failed" in output

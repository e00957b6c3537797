"""The servers of `tidecast up`, open to other machines: passwords, PostgreSQL, and no secret that others can read."""

import base64
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
import pytest

from flows.services.addresses import Address, is_loopback
from flows.services.server_settings import mlflow_environment
from models.errors import InputError
from tests.support.environment import user_environment
from tests.support.services import PostgreSQL, all_rows, free_port

SECRETS = {"PREFECT_SERVER_API_AUTH_STRING": "ann:prefect 100%", "MLFLOW_TRACKING_PASSWORD": "mlflow 100% long"}
SERVE = """
import os, sys
from pathlib import Path
from flows.services.addresses import Address
from flows.services.processes import Children
from flows.services.servers import start_servers

Path(".tidecast").mkdir()
with Children() as children:
    start_servers(children, Path.cwd(), *[Address("0.0.0.0", int(port)) for port in sys.argv[1:]])
    print("ready", flush=True)
    children.watch()
"""


@dataclass
class Servers:
    process: subprocess.Popen[str]
    folder: Path
    prefect: int
    mlflow: int


@pytest.fixture(scope="module")
def servers(postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder, ports = tmp_path_factory.mktemp("servers"), (free_port(), free_port())
    for name in ("prefect", "mlflow"):
        postgresql.create(f"servers_{name}")
    settings = {
        "PREFECT_HOME": str(folder / ".prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_API_DATABASE_CONNECTION_URL": postgresql.url("servers_prefect", "asyncpg"),
        "MLFLOW_BACKEND_STORE_URI": postgresql.url("servers_mlflow", "psycopg"),
        "MLFLOW_TRACKING_USERNAME": "ann",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        **SECRETS,
    }
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, *map(str, ports)],
        cwd=folder,
        env=user_environment(**settings),
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield Servers(process, folder, *ports)
    process.terminate()
    assert process.wait(30) == 0


def status(port: int, path: str, user: str | None = None, host: str | None = None) -> int:
    """Return the status with which a server answers a `user:password` that calls it by the name `host`."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
    if user:
        request.add_header("Authorization", f"Basic {base64.b64encode(user.encode()).decode()}")
    if host:
        request.add_header("Host", host)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        return refusal.code


EXPERIMENTS = "/api/2.0/mlflow/experiments/search?max_results=1"


def test_both_servers_ask_for_their_password(servers: Servers) -> None:
    assert status(servers.prefect, "/api/admin/version") == 401
    assert status(servers.prefect, "/api/admin/version", "ann:prefect 100%") == 200
    assert status(servers.mlflow, EXPERIMENTS) == 401
    assert status(servers.mlflow, EXPERIMENTS, "ann:mlflow 100% long") == 200


@pytest.mark.parametrize("page", ["/", "api"])
def test_both_servers_answer_only_to_the_host_names_of_this_machine(servers: Servers, page: str) -> None:
    for port, path, user, refusal in (
        (servers.prefect, "/api/admin/version", "ann:prefect 100%", 400),
        (servers.mlflow, EXPERIMENTS, "ann:mlflow 100% long", 403),
    ):
        place = path if page == "api" else page
        own_names = Address("0.0.0.0", port).host_names_with_port  # noqa: S104
        assert {status(port, place, user, name) for name in own_names} == {200}
        other_names = ("evil.example", f"evil.example:{port}", "10.evil.example", f"127.0.0.1.evil.example:{port}")
        assert {status(port, place, user, name) for name in other_names} == {refusal}


def test_the_passwords_in_urls_are_recorded_nowhere(servers: Servers, postgresql: PostgreSQL) -> None:
    prefect, mlflow = (quote(secret, safe=":") for secret in SECRETS.values())
    settings = {
        "PREFECT_HOME": str(servers.folder / ".prefect"),
        "PREFECT_API_URL": f"http://{prefect}@127.0.0.1:{servers.prefect}/api",
        "MLFLOW_TRACKING_URI": f"http://ann:{mlflow}@127.0.0.1:{servers.mlflow}",
    }
    done = subprocess.run(
        [Path(sys.executable).parent / "tidecast", "train", "elman-sine", "--elman.epochs", "2"],
        cwd=servers.folder,
        env=user_environment(**settings),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"http://127.0.0.1:{servers.mlflow}" in done.stdout
    written = {"output": done.stdout + done.stderr}
    written |= {name: all_rows(postgresql.url(f"servers_{name}")) for name in ("prefect", "mlflow")}
    assert "elman-sine" in written["prefect"]
    assert "elman-sine" in written["mlflow"]
    for secret in (prefect, mlflow, *(value.rpartition(":")[2] for value in SECRETS.values())):
        assert [name for name, text in written.items() if secret in text] == []


def test_runs_flows_and_accounts_are_in_postgresql(servers: Servers, postgresql: PostgreSQL) -> None:
    for database, table in (("prefect", "flow_run"), ("mlflow", "runs"), ("mlflow", "alembic_version_auth")):
        with (
            closing(psycopg.connect(postgresql.url(f"servers_{database}"))) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("select to_regclass(%s) is not null", (table,))
            assert cursor.fetchone() == (True,)
    assert not list(servers.folder.glob("*.db"))


def test_no_secret_is_in_a_command_line_or_a_file(servers: Servers, postgresql: PostgreSQL) -> None:
    secrets = [*SECRETS.values(), postgresql.password]
    started = psutil.Process(servers.process.pid).children(recursive=True)
    assert len(started) == 4  # Prefect, MLflow with a child process, and the guardian
    readable = [" ".join(process.cmdline()) for process in started]
    files = [path for path in servers.folder.rglob("*") if path.is_file()]
    assert servers.folder / ".tidecast" / "mlflow-accounts.ini" in files
    readable += [path.read_text(errors="replace") for path in files]
    assert not [secret for secret in secrets if any(secret in text for text in readable)]
    assert (servers.folder / ".tidecast" / "mlflow-secret-key").stat().st_mode & 0o777 == 0o600


def test_settings_of_mlflow_in_the_environment_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_BACKEND_STORE_URI", "MLFLOW_ARTIFACTS_DESTINATION", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    defaults = mlflow_environment(tmp_path, Address("127.0.0.1", 5000))
    assert defaults["MLFLOW_BACKEND_STORE_URI"] == f"sqlite:///{tmp_path}/mlflow.db"
    assert defaults["MLFLOW_DEFAULT_ARTIFACT_ROOT"] == (tmp_path / "artifacts").as_uri()
    monkeypatch.setenv("MLFLOW_ARTIFACTS_DESTINATION", "s3://bucket")
    monkeypatch.setenv("MLFLOW_WORKERS", "3")
    changed = mlflow_environment(tmp_path, Address("127.0.0.1", 5000))
    assert changed["MLFLOW_ARTIFACTS_DESTINATION"] == "s3://bucket"
    assert "MLFLOW_DEFAULT_ARTIFACT_ROOT" not in changed
    assert changed["MLFLOW_WORKERS"] == "3"


def test_mlflow_writes_artifacts_itself_if_other_machines_can_reach_it(tmp_path: Path) -> None:
    environment = mlflow_environment(tmp_path, Address("0.0.0.0", 5000))  # noqa: S104
    assert environment["MLFLOW_ARTIFACTS_DESTINATION"] == (tmp_path / "artifacts").as_uri()
    assert "MLFLOW_DEFAULT_ARTIFACT_ROOT" not in environment


def test_loopback_is_what_only_this_machine_can_reach() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "localhost", "::1", "127.9.9.9")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.0.2.1")))  # noqa: S104
    with pytest.raises(InputError, match=r"nowhere\.invalid is not an address"):
        is_loopback("nowhere.invalid")


def test_an_ipv6_address_is_written_in_brackets() -> None:
    assert Address("::1", 4200).url == "http://[::1]:4200"
    assert Address("::", 4200).url == "http://[::1]:4200"

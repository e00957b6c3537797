"""The servers of `tidecast up` where others reach them: passwords, PostgreSQL, and no secret where it could be read."""

import base64
import os
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
from flows.services.servers import mlflow_environment
from models.errors import InputError
from tests.support.services import PostgreSQL, everything, free_port

SECRETS = {"PREFECT_SERVER_API_AUTH_STRING": "ann:prefect 100%", "MLFLOW_TRACKING_PASSWORD": "mlflow 100% long"}
SERVE = """
import os, sys
from pathlib import Path
from flows.services.addresses import Address
from flows.services.processes import Children
from flows.commands.up import start_servers

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
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))}
    own = {
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
        env={**inherited, **own},
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
def test_both_servers_answer_under_the_names_of_this_machine_alone(servers: Servers, page: str) -> None:
    for port, path, user, refusal in (
        (servers.prefect, "/api/admin/version", "ann:prefect 100%", 400),
        (servers.mlflow, EXPERIMENTS, "ann:mlflow 100% long", 403),
    ):
        place = path if page == "api" else page
        here = Address("0.0.0.0", port).names  # noqa: S104
        assert {status(port, place, user, name) for name in here} == {200}
        names = ("evil.example", f"evil.example:{port}", "10.evil.example", f"127.0.0.1.evil.example:{port}")
        assert {status(port, place, user, name) for name in names} == {refusal}


def test_what_is_recorded_through_urls_with_passwords_holds_none(servers: Servers, postgresql: PostgreSQL) -> None:
    prefect, mlflow = (quote(secret, safe=":") for secret in SECRETS.values())
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))}
    own = {
        "PREFECT_HOME": str(servers.folder / ".prefect"),
        "PREFECT_API_URL": f"http://{prefect}@127.0.0.1:{servers.prefect}/api",
        "MLFLOW_TRACKING_URI": f"http://ann:{mlflow}@127.0.0.1:{servers.mlflow}",
    }
    done = subprocess.run(
        [Path(sys.executable).parent / "tidecast", "train", "elman-sine", "--elman.epochs", "2"],
        cwd=servers.folder,
        env={**inherited, **own},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"http://127.0.0.1:{servers.mlflow}" in done.stdout
    written = {"said": done.stdout + done.stderr}
    written |= {name: everything(postgresql.url(f"servers_{name}")) for name in ("prefect", "mlflow")}
    assert "elman-sine" in written["prefect"]
    assert "elman-sine" in written["mlflow"]
    for secret in (prefect, mlflow, *(value.rpartition(":")[2] for value in SECRETS.values())):
        assert [place for place, text in written.items() if secret in text] == []


def test_runs_flows_and_accounts_are_in_postgresql(servers: Servers, postgresql: PostgreSQL) -> None:
    for database, table in (("prefect", "flow_run"), ("mlflow", "runs"), ("mlflow", "alembic_version_auth")):
        with (
            closing(psycopg.connect(postgresql.url(f"servers_{database}"))) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("select to_regclass(%s) is not null", (table,))
            assert cursor.fetchone() == (True,)
    assert not list(servers.folder.glob("*.db"))


def test_no_secret_stands_in_a_command_line_or_a_file(servers: Servers, postgresql: PostgreSQL) -> None:
    hidden = [*SECRETS.values(), postgresql.password]
    started = psutil.Process(servers.process.pid).children(recursive=True)
    assert len(started) == 4  # MLflow's has a process of its own, and all have a guardian
    said = [" ".join(process.cmdline()) for process in started]
    files = [path for path in servers.folder.rglob("*") if path.is_file()]
    assert servers.folder / ".tidecast" / "mlflow-accounts.ini" in files
    said += [path.read_text(errors="replace") for path in files]
    assert not [secret for secret in hidden if any(secret in text for text in said)]
    assert (servers.folder / ".tidecast" / "mlflow-secret-key").stat().st_mode & 0o777 == 0o600


def test_what_the_environment_says_of_mlflow_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_BACKEND_STORE_URI", "MLFLOW_ARTIFACTS_DESTINATION", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    here = mlflow_environment(tmp_path, Address("127.0.0.1", 5000))
    assert here["MLFLOW_BACKEND_STORE_URI"] == f"sqlite:///{tmp_path}/mlflow.db"
    assert here["MLFLOW_DEFAULT_ARTIFACT_ROOT"] == (tmp_path / "artifacts").as_uri()
    monkeypatch.setenv("MLFLOW_ARTIFACTS_DESTINATION", "s3://bucket")
    monkeypatch.setenv("MLFLOW_WORKERS", "3")
    there = mlflow_environment(tmp_path, Address("127.0.0.1", 5000))
    assert there["MLFLOW_ARTIFACTS_DESTINATION"] == "s3://bucket"
    assert "MLFLOW_DEFAULT_ARTIFACT_ROOT" not in there
    assert there["MLFLOW_WORKERS"] == "3"


def test_mlflow_writes_the_artifacts_of_other_machines_itself(tmp_path: Path) -> None:
    there = mlflow_environment(tmp_path, Address("0.0.0.0", 5000))  # noqa: S104
    assert there["MLFLOW_ARTIFACTS_DESTINATION"] == (tmp_path / "artifacts").as_uri()
    assert "MLFLOW_DEFAULT_ARTIFACT_ROOT" not in there


def test_loopback_is_what_this_machine_alone_reaches() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "localhost", "::1", "127.9.9.9")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.0.2.1")))  # noqa: S104
    with pytest.raises(InputError, match=r"nowhere\.invalid is no address"):
        is_loopback("nowhere.invalid")


def test_an_address_of_six_is_written_in_brackets() -> None:
    assert Address("::1", 4200).url == "http://[::1]:4200"
    assert Address("::", 4200).url == "http://[::1]:4200"

"""The command `tidecast` as a process: quick if it trains nothing, and ended by Ctrl-C at any time."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from flows.services.marks import marked
from tests.support.environment import user_environment
from tests.support.stack import guardian_of

HEAVY = {"prefect", "mlflow", "torch", "matplotlib", "pandas"}
REPORT_IMPORTS = """
import sys
from flows.commands.app import run
status = run(sys.argv[2:])
print(status, *sorted(set(sys.argv[1].split(",")) & set(sys.modules)), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("line", "status", "imported"),
    [
        ("recipes", 0, set()),
        ("--help", 0, set()),
        ("up --help", 0, set()),
        ("worker --help", 0, set()),
        ("fly", 2, {"prefect"}),
        ("train --help", 0, {"prefect"}),
        ("train gru-sin", 2, {"prefect"}),
        ("train sine --fit.epochs 0", 2, {"prefect"}),
        ("train sine --window.length 5000", 2, {"prefect", "pandas"}),
    ],
)
def test_a_command_that_trains_nothing_imports_few_libraries(
    line: str, status: int, imported: set[str], tmp_path: Path
) -> None:
    command = [sys.executable, "-c", REPORT_IMPORTS, ",".join(HEAVY), *line.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    exit_status, *libraries = done.stderr.splitlines()[-1].split()
    assert int(exit_status) == status
    assert set(libraries) == imported
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of Prefect's database, made once since that takes longer than all else."""
    return tmp_path_factory.mktemp("prefect")


def started(tmp_path: Path, home: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the command in a process group of its own, as a terminal does."""
    command = [Path(sys.executable).parent / "tidecast", *arguments]
    return subprocess.Popen(
        command,
        cwd=tmp_path,
        env=user_environment(PREFECT_HOME=str(home), PREFECT_LOGGING_LEVEL="INFO"),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # else a job in the background ignores Ctrl-C
    )


def interrupt(process: subprocess.Popen[str]) -> str:
    """Send Ctrl-C to the whole group, as a terminal does; returns the rest of standard error."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        rest = process.communicate(timeout=30)[1]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    assert process.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    return rest


def server_of(process: subprocess.Popen[str]) -> psutil.Process:
    """Return the Prefect server of a command as soon as it runs."""
    while True:
        with suppress(StopIteration, ValueError):
            (server,) = marked(guardian_of(process).cmdline()[-1])
            return server
        assert process.poll() is None
        time.sleep(0.01)


@pytest.mark.parametrize("moment", ["", "gru: epoch 1 "], ids=["starting", "training"])
def test_a_command_that_is_killed_takes_its_server_with_it(moment: str, tmp_path: Path, home: Path) -> None:
    with started(tmp_path, home, "train", "gru-sine", "--fit.epochs", "1000000") as process:
        server = server_of(process)
        assert process.stderr is not None
        assert not moment or any(moment in line for line in process.stderr)
        guardian = guardian_of(process)
        mark = guardian.cmdline()[-1]
        process.kill()
        ended, running = psutil.wait_procs([server, guardian], timeout=30)
    assert (len(ended), running, marked(mark)) == (2, [], [])


def test_a_command_that_completes_leaves_no_process_behind(tmp_path: Path, home: Path) -> None:
    with started(tmp_path, home, "train", "elman-sine", "--elman.epochs", "1") as process:
        assert process.stderr is not None
        assert any("elman: epoch 1 " in line for line in process.stderr)
        guardian = guardian_of(process)
        mark = guardian.cmdline()[-1]
        assert len(marked(mark)) == 1
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert (guardian.is_running(), marked(mark)) == (False, [])
    with sqlite3.connect(tmp_path / "mlflow.db") as runs:  # no link to the pages of its server, but the flow run's id
        named = "select key from tags where key in ('prefect.flow_run_id', 'prefect.flow_run_url')"
        assert set(runs.execute(named)) == {("prefect.flow_run_id",)}


def test_only_the_command_can_use_its_server(tmp_path: Path, home: Path) -> None:
    with started(tmp_path, home, "train", "gru-sine", "--fit.epochs", "1000000") as process:
        assert process.stderr is not None
        assert any("gru: epoch 1 " in line for line in process.stderr)
        (port,) = {each.laddr.port for each in server_of(process).net_connections("inet")}
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api/admin/version", timeout=30)
        interrupt(process)


def test_ctrl_c_while_the_server_starts_ends_the_command_and_the_server(tmp_path: Path, home: Path) -> None:
    with started(tmp_path, home, "train", "elman-sine") as process:
        server = server_of(process)
        time.sleep(1)  # less than the server takes to start
        assert "tidecast: interrupted" in interrupt(process)
    assert not server.is_running()


def test_a_server_that_cannot_start_is_reported_in_one_line(tmp_path: Path) -> None:
    home = tmp_path / "prefect"
    (home / "prefect.db").mkdir(parents=True)
    with started(tmp_path, home, "train", "elman-sine") as process:
        message = process.communicate(timeout=60)[1]
    assert message == (
        f"tidecast: Prefect's server, with its files in {home}, does not start: sqlalchemy.exc.OperationalError: "
        "(sqlite3.OperationalError) unable to open database file\n"
    )
    assert process.returncode == 1


def test_ctrl_c_in_training_ends_at_once_and_is_recorded_by_mlflow_and_prefect(tmp_path: Path, home: Path) -> None:
    with started(tmp_path, home, "train", "gru-sine", "--fit.epochs", "1000000") as process:
        assert process.stderr is not None
        assert any("gru: epoch 1 " in line for line in process.stderr)
        rest = interrupt(process)
    assert "tidecast: interrupted" in rest.splitlines()
    assert "Traceback" not in rest
    with sqlite3.connect(tmp_path / "mlflow.db") as runs:
        assert runs.execute("select status from runs").fetchall() == [("KILLED",), ("KILLED",)]
    with sqlite3.connect(home / "prefect.db") as flows:
        newest = "select state_type from flow_run order by created desc limit 1"
        assert flows.execute(newest).fetchall() == [("CRASHED",)]

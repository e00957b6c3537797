"""`tidecast up` with real servers and workers: all of them run, a lost one is reported, and none is left behind."""

import signal
import socket
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
import yaml
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from flows.catalogue import CATALOGUE
from flows.services.marks import MARK, end_marked, marked
from tests.support.services import free_port
from tests.support.stack import Up, command, guardian_of
from tests.support.waiting import wait_until

HOST = socket.gethostname()
DEPLOYMENTS = sorted(deployment["name"] for deployment in yaml.safe_load(CATALOGUE.read_text())["deployments"])


def refused(folder: Path, *arguments: str, **environment: str) -> str:
    """Return the one line with which `tidecast up` refuses."""
    process = command(folder, "up", *arguments, **environment)
    (line,) = process.communicate(timeout=60)[0].splitlines()
    assert process.returncode == 2
    return line


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A `tidecast up` in a folder with a space; a test that ends it starts it again."""
    running = Up(tmp_path_factory.mktemp("up") / "a folder")
    running.folder.mkdir()
    running.start()
    yield running
    running.process.kill()
    end_marked(running.mark)


def started_by(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the processes that a command has started, without its guardian."""
    return [child for child in psutil.Process(process.pid).children(recursive=True) if MARK in child.environ()]


def test_it_says_where_the_servers_are_and_how_to_use_them(up: Up) -> None:
    lines = up.output.splitlines()
    assert f"Prefect  http://127.0.0.1:{up.prefect}" in lines
    assert f"MLflow   http://127.0.0.1:{up.mlflow}" in lines
    assert f"  export PREFECT_API_URL=http://127.0.0.1:{up.prefect}/api" in lines
    assert f"  export MLFLOW_TRACKING_URI=http://127.0.0.1:{up.mlflow}" in lines
    assert "No GPU is visible here: the CPU serves the pool gpu as well" in lines


def test_every_recipe_is_deployed_and_no_schedule_is_on(up: Up) -> None:
    assert sorted(deployment["name"] for deployment in up.deployments().values()) == DEPLOYMENTS
    assert up.active_schedules() == {False}


def test_a_worker_is_online_in_each_pool(up: Up) -> None:
    pools = {pool["name"]: pool["type"] for pool in up.ask("work_pools/filter") if pool["type"] != "prefect-agent"}
    assert pools == {"cpu": "process", "gpu": "process"}
    workers = {pool: up.ask(f"work_pools/{pool}/workers/filter") for pool in pools}
    online = {(pool, worker["name"], worker["status"]) for pool in pools for worker in workers[pool]}
    assert online == {("cpu", f"{HOST}-cpu", "ONLINE"), ("gpu", f"{HOST}-cpu-for-gpu", "ONLINE")}


def test_its_data_is_kept_in_the_folder(up: Up) -> None:
    names = {path.name for path in up.folder.iterdir()}
    assert {"prefect.db", "mlflow.db", ".tidecast"} <= names
    logs = {path.name for path in (up.folder / ".tidecast").glob("*.log")}
    assert {"prefect.log", "mlflow.log", "deploy.log", "worker-cpu.log", "worker-cpu-for-gpu.log"} == logs
    experiment_id = up.ask("2.0/mlflow/experiments/create", {"name": "new"}, port=up.mlflow)["experiment_id"]
    with closing(sqlite3.connect(up.folder / "mlflow.db")) as runs:
        location = runs.execute("select artifact_location from experiments where name = 'new'").fetchone()
    assert location == ((up.folder / "artifacts" / experiment_id).as_uri(),)


@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
@pytest.mark.parametrize("method", ["OPTIONS", "POST"])
@pytest.mark.parametrize("server", ["prefect", "mlflow"])
def test_a_web_page_cannot_use_either_server_through_the_browser(up: Up, server: str, method: str, origin: str) -> None:
    port, path = {"prefect": (up.prefect, "flow_runs/filter"), "mlflow": (up.mlflow, "2.0/mlflow/runs/search")}[server]
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/{path}",
        method=method,
        data=b"{}" if method == "POST" else None,
        headers={"Origin": origin, "Access-Control-Request-Method": "POST", "Content-Type": "text/plain"},
    )
    with pytest.raises(urllib.error.HTTPError, match=r"40[03]") as refusal:
        urllib.request.urlopen(request, timeout=30)  # noqa: S310
    assert "access-control-allow-origin" not in refusal.value.headers


def test_prefect_sends_events_to_its_own_pages_only(up: Up) -> None:
    url, prefect = f"ws://127.0.0.1:{up.prefect}/api/events/out", [Subprotocol("prefect")]
    for origin in (None, Origin(f"http://127.0.0.1:{up.prefect}"), Origin(f"http://localhost:{up.prefect}")):
        with connect(url, origin=origin, subprotocols=prefect) as events:
            assert events.subprotocol == "prefect"
    with pytest.raises(InvalidStatus, match="403"), connect(url, origin=Origin("http://evil.example")):
        pass


def test_other_commands_in_the_folder_use_its_servers(up: Up) -> None:
    worker = command(up.folder, "worker", "--pool", "gpu", "--name", "box", "--limit", "3")
    assert worker.stdout is not None
    lines = [next(worker.stdout).strip() for _ in range(4)]
    assert lines == [
        "No GPU is visible here: this worker serves the pool cpu instead.",
        f"Prefect: http://127.0.0.1:{up.prefect}/api",
        f"Runs are recorded in http://127.0.0.1:{up.mlflow}",
        "box-cpu takes 3 flow runs at a time from the pool cpu",
    ]
    assert any("Worker 'box-cpu' started!" in line for line in worker.stdout)
    children = started_by(worker)
    assert [child.environ()["CUDA_VISIBLE_DEVICES"] for child in children] == [""]
    worker.send_signal(signal.SIGINT)
    assert "Traceback" not in worker.communicate(timeout=30)[0]
    assert worker.returncode == 0
    assert not any(child.is_running() for child in children)


def test_a_worker_that_is_lost_ends_its_command_with_one_line(up: Up) -> None:
    worker = command(up.folder, "worker", "--name", "box")
    assert worker.stdout is not None
    assert any("Worker 'box-cpu' started!" in line for line in worker.stdout)
    (child,) = started_by(worker)
    child.kill()
    last = worker.communicate(timeout=30)[0].splitlines()[-1]
    assert last == "tidecast: the worker box-cpu was killed by SIGKILL (its lines are above)"
    assert worker.returncode == 1


def test_a_second_up_in_the_same_folder_is_refused(up: Up) -> None:
    line = f"tidecast: tidecast up already runs in {up.folder}, as process {up.process.pid}; end that one first"
    assert refused(up.folder) == line


def test_a_port_that_is_taken_is_named_with_its_owner_and_the_option(up: Up, tmp_path: Path) -> None:
    line = refused(tmp_path, "--prefect-port", str(up.prefect), "--mlflow-port", str(free_port()))
    assert line.startswith(f"tidecast: port {up.prefect} of 127.0.0.1 is taken by process ")
    assert line.endswith("; choose another with --prefect-port")
    line = refused(tmp_path, "--prefect-port", str(free_port()), "--mlflow-port", str(up.mlflow))
    assert line.endswith("; choose another with --mlflow-port")


def test_two_servers_do_not_share_a_port(tmp_path: Path) -> None:
    assert refused(tmp_path, "--prefect-port", "5000").startswith("tidecast: --prefect-port and --mlflow-port are both")


def test_other_machines_are_let_in_with_passwords_only(tmp_path: Path) -> None:
    mlflow = {"MLFLOW_TRACKING_USERNAME": "ann", "MLFLOW_TRACKING_PASSWORD": "long enough"}
    line = refused(tmp_path, "--host", "0.0.0.0", **mlflow)  # noqa: S104
    remedy = "set PREFECT_SERVER_API_AUTH_STRING, or let everyone in with --without-passwords"
    assert line.endswith(f"which need passwords: {remedy}")
    assert "--host nowhere.invalid is not an address of this machine" in refused(tmp_path, "--host", "nowhere.invalid")
    assert list(tmp_path.iterdir()) == []


def test_a_flag_lets_everyone_in_with_a_warning(tmp_path: Path) -> None:
    process = command(tmp_path, "up", "--host", "192.0.2.1", "--without-passwords")  # an address of no machine
    warning, refusal = process.communicate(timeout=60)[0].splitlines()
    assert warning == "No passwords: whoever can reach port 4200 or 5000 of 192.0.2.1 can run code here"
    assert refusal.startswith("tidecast: port 4200 of 192.0.2.1 cannot be used")


def test_a_worker_that_is_killed_leaves_no_process(up: Up) -> None:
    worker = command(up.folder, "worker", "--name", "box")
    assert worker.stdout is not None
    assert any("Worker 'box-cpu' started!" in line for line in worker.stdout)
    mark = guardian_of(worker).cmdline()[-1]
    assert len(marked(mark)) == 1
    worker.kill()
    wait_until(lambda: marked(mark) == [])


def test_ctrl_c_ends_a_flow_run_that_can_still_report_it(up: Up) -> None:
    (gru,) = (deployment for deployment in up.deployments().values() if deployment["name"] == "gru-sine")
    parameters = {**gru["parameters"], "fit": {"epochs": 1_000_000}}
    up.ask(f"deployments/{gru['id']}/create_flow_run", {"parameters": parameters})
    log = up.folder / ".tidecast" / "worker-cpu-for-gpu.log"
    wait_until(lambda: "epoch 1 of 1000000" in log.read_text())
    began = time.monotonic()
    assert up.end(signal.SIGINT) == 0
    assert time.monotonic() - began < 20
    assert up.output.splitlines()[-1] == "Ending the workers, Prefect and MLflow"
    with (
        closing(sqlite3.connect(up.folder / "prefect.db")) as flows,
        closing(sqlite3.connect(up.folder / "mlflow.db")) as runs,
    ):
        assert flows.execute("select state_type from flow_run").fetchall() == [("CRASHED",)]
        assert set(runs.execute("select status from runs").fetchall()) == {("KILLED",)}


def test_the_next_up_uses_the_same_data(up: Up) -> None:
    if up.process.poll() is None:
        up.end(signal.SIGTERM)
    with closing(sqlite3.connect(up.folder / "prefect.db")) as flows:
        before = {deployment for (deployment,) in flows.execute("select id from deployment")}
    up.start("--schedules")
    assert set(up.deployments()) == before
    assert up.active_schedules() == {True}


def test_the_next_up_ends_what_one_left_that_was_killed_together_with_its_guardian(up: Up) -> None:
    killed = up.process.pid
    guardian_of(up.process).kill()
    up.process.kill()
    up.process.wait()
    assert len(marked(up.mark)) == 5  # Prefect, MLflow with a child process, two workers
    up.start()
    message = f"Ended 5 processes that a killed tidecast up has left (process {killed})"
    assert up.output.splitlines()[0] == message
    assert up.active_schedules() == {False}


def test_a_killed_up_leaves_no_process_for_the_next_one_to_end(up: Up) -> None:
    up.process.kill()
    wait_until(lambda: marked(up.mark) == [])
    up.start()
    assert "Ended" not in up.output


def test_a_server_that_is_lost_ends_it_with_one_line(up: Up) -> None:
    children = psutil.Process(up.process.pid).children()
    (mlflow,) = (child for child in children if "mlflow" in child.cmdline())
    mlflow.kill()
    assert up.wait() == 1
    log = up.folder / ".tidecast" / "mlflow.log"
    assert up.output.splitlines()[-1] == f"tidecast: the MLflow server was killed by SIGKILL (log: {log})"

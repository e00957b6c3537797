"""MLflow and Prefect show the true status of a run, however it ended: real servers, worker and processes."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from mlflow.entities import Run
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelling, Running
from prefect.workers.process import ProcessWorker

from flows.catalogue import ROOT
from flows.services import cleanup
from tasks.resuming.run_state import RUN_STATES, read_run_state
from tasks.tracking.processes import host_and_number, is_gone
from tasks.tracking.runs import PROCESS, RUN_STATE
from tests.support.stack import BIN, Stack, Up
from tests.support.tracked import all_runs, check_that_no_run_state_is_left
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(400)
ONE_NETWORK = {"members": 1, "batch": 64, "windows": None, "loss": "mse", "final_steps": 0}
ENDLESS, SHORT = ({"fit": {"epochs": epochs, **ONE_NETWORK}} for epochs in (1_000_000, 4000))
FAILS = """
import sys
import tasks.training
from flows.commands.app import run

def fail(*arguments):
    raise RuntimeError("no luck")

tasks.training.fit_model = fail
sys.exit(run(sys.argv[1:]))
"""


@dataclass
class Box:
    """A worker of its own, as on another machine, and what the servers say of its flow runs."""

    stack: Stack
    deployment: UUID
    worker: subprocess.Popen[bytes]

    def send(self, **parameters: Any) -> UUID:
        """Create a flow run for the worker; returns its id."""
        return self.stack.prefect.create_flow_run_from_deployment(self.deployment, parameters=parameters).id

    def begin(self, **parameters: Any) -> UUID:
        """Create a flow run and wait until it trains; returns its id."""
        flow_run = self.send(**parameters)
        wait_until(lambda: any("train_loss" in run.data.metrics for run in self.runs(flow_run)))
        return flow_run

    def runs(self, flow_run: UUID) -> list[Run]:
        """Return the MLflow runs of a flow run, the parent last."""
        experiments = [experiment.experiment_id for experiment in self.stack.mlflow.search_experiments()]
        runs = self.stack.mlflow.search_runs(experiments, f"tags.`prefect.flow_run_id` = '{flow_run}'")
        return sorted(runs, key=lambda run: "mlflow.parentRunId" not in run.data.tags)

    def statuses(self, flow_run: UUID) -> list[str]:
        return [run.info.status for run in self.runs(flow_run)]

    def reasons(self, flow_run: UUID) -> set[str]:
        return {run.data.tags.get("reason", "") for run in self.runs(flow_run)}

    def process(self, flow_run: UUID) -> int:
        """Return the id of the process that records a flow run."""
        return int(host_and_number(self.runs(flow_run)[-1].data.tags[PROCESS])[1])

    def state(self, flow_run: UUID) -> str | None:
        return self.stack.prefect.read_flow_run(flow_run).state_name

    def clear(self) -> None:
        """Kill what still trains, and remove the run states of runs that were not completed."""
        runs = all_runs(self.stack.mlflow)
        for run in runs:
            if run.info.status == "RUNNING" and is_gone(run.data.tags[PROCESS]) is False:
                os.kill(int(host_and_number(run.data.tags[PROCESS])[1]), signal.SIGKILL)
        ids = {run.data.tags[RUN_STATE] for run in runs if RUN_STATE in run.data.tags}
        for folder in (ROOT / RUN_STATES).glob("*"):
            if read_run_state(folder).get("id") in ids:
                shutil.rmtree(folder)


@pytest.fixture(scope="module")
def box(up: Up) -> Iterator[Box]:
    """A work pool with a deployment and a worker of its own, under a `tidecast up`."""
    stack = Stack(up)
    template = ProcessWorker.get_default_base_job_template()
    stack.prefect.create_work_pool(WorkPoolCreate(name="box", type="process", base_job_template=template))
    recipe = stack.prefect.read_deployment_by_name("train/gru-sine")
    copied = ("flow_id", "entrypoint", "pull_steps", "parameters", "job_variables")
    settings = {name: getattr(recipe, name) for name in copied}
    deployment = stack.prefect.create_deployment(name="statuses", work_pool_name="box", **settings)
    start = [BIN / "prefect", "worker", "start", "--pool", "box", "--name", "box", "--type", "process"]
    environment = {**stack.environment, "PREFECT_WORKER_QUERY_SECONDS": "1", "CUDA_VISIBLE_DEVICES": ""}
    with pytest.MonkeyPatch.context() as patch, (up.folder / "box.log").open("wb") as log:
        patch.setenv("MLFLOW_TRACKING_URI", stack.tracking)
        with (
            temporary_settings({PREFECT_API_URL: stack.environment["PREFECT_API_URL"]}),
            subprocess.Popen(start, env=environment, stdout=log, stderr=log, start_new_session=True) as worker,
        ):
            box = Box(stack, deployment, worker)
            yield box
            worker.kill()
            box.clear()


@pytest.fixture(scope="module")
def bystander(box: Box) -> UUID:
    """A flow run whose process lives throughout, but is stopped and so sends no heartbeat."""
    flow_run = box.begin(**ENDLESS)
    os.kill(box.process(flow_run), signal.SIGSTOP)
    return flow_run


def command(box: Box, *arguments: str, code: str = "") -> subprocess.Popen[str]:
    """Start `tidecast train` with the servers of the stack."""
    start = [sys.executable, "-c", code] if code else [BIN / "tidecast"]
    return subprocess.Popen(
        [*start, "train", "gru-sine", *arguments],
        cwd=box.stack.folder,
        env={**box.stack.environment, "CUDA_VISIBLE_DEVICES": ""},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # else a job in the background ignores Ctrl-C
    )


def flow_run_of(box: Box, process: subprocess.Popen[str]) -> UUID:
    """Return the flow run of a command, which may resume the runs of a command before it."""
    pid = str(process.pid)
    for run in box.stack.parents("gru-sine"):
        if host_and_number(run.data.tags[PROCESS])[1] == pid:
            return UUID(run.data.tags["prefect.flow_run_id"])
    raise AssertionError(f"process {pid} has recorded nothing")


def test_a_flow_run_that_a_user_cancels_is_cancelled_and_its_runs_are_killed(box: Box, bystander: UUID) -> None:
    flow_run = box.begin(**ENDLESS)
    box.stack.prefect.set_flow_run_state(flow_run, Cancelling())
    assert box.stack.finish(flow_run).state_name == "Cancelled"
    wait_until(lambda: box.statuses(flow_run) == ["KILLED", "KILLED"])
    (reason,) = box.reasons(flow_run)
    assert reason.startswith("TerminationSignal"), reason
    assert box.statuses(bystander) == ["RUNNING", "RUNNING"]


@pytest.mark.parametrize(
    ("number", "status", "reason"),
    [(signal.SIGTERM, -signal.SIGTERM, "TerminationSignal"), (signal.SIGINT, 130, "KeyboardInterrupt")],
)
def test_a_command_that_is_asked_to_end_records_it(box: Box, number: int, status: int, reason: str) -> None:
    process = command(box, "--fit.epochs", "1000000")
    assert process.stderr is not None
    assert any("gru: epoch 1 " in line for line in process.stderr)
    process.send_signal(number)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == status, errors
    flow_run = flow_run_of(box, process)
    assert box.statuses(flow_run) == ["KILLED", "KILLED"]
    (recorded,) = box.reasons(flow_run)
    assert recorded.startswith(reason)
    assert box.state(flow_run) == "Crashed"


def test_a_command_that_fails_records_why(box: Box) -> None:
    process = command(box, code=FAILS)
    assert "no luck" in process.communicate(timeout=120)[1]
    assert process.returncode == 1
    flow_run = flow_run_of(box, process)
    assert box.statuses(flow_run) == ["FAILED", "FAILED"]
    assert box.reasons(flow_run) == {"RuntimeError: no luck"}
    assert box.state(flow_run) == "Failed"


def test_a_command_that_is_killed_is_found_by_the_cleanup(box: Box, bystander: UUID) -> None:
    process = command(box, "--fit.epochs", "1000000")
    assert process.stderr is not None
    assert any("gru: epoch 1 " in line for line in process.stderr)
    process.kill()
    process.communicate()
    cleanup.clean_up(print, 0)
    flow_run = flow_run_of(box, process)
    assert box.statuses(flow_run) == ["KILLED", "KILLED"]
    (reason,) = box.reasons(flow_run)
    assert reason.startswith(f"process {process.pid} of ")
    assert box.state(flow_run) == "Crashed"
    assert box.statuses(bystander) == ["RUNNING", "RUNNING"]
    assert box.state(bystander) == "Running"


def test_a_flow_run_whose_process_is_killed_is_closed_by_up_and_resumed_by_a_retry(box: Box, bystander: UUID) -> None:
    flow_run = box.begin(**SHORT)
    killed = box.process(flow_run)
    os.kill(killed, signal.SIGKILL)
    assert box.stack.finish(flow_run).state_name == "Crashed"
    wait_until(lambda: box.statuses(flow_run) == ["KILLED", "KILLED"])
    (reason,) = box.reasons(flow_run)
    assert reason.endswith("is gone: killed, or the machine went down")
    assert box.statuses(bystander) == ["RUNNING", "RUNNING"]
    before = [run.info.run_id for run in box.runs(flow_run)]
    retry = [BIN / "prefect", "--no-prompt", "flow-run", "retry", str(flow_run)]
    subprocess.run(retry, env=box.stack.environment, check=True, capture_output=True)
    wait_until(lambda: box.state(flow_run) == "Completed")
    runs = box.runs(flow_run)
    assert [run.info.run_id for run in runs] == before
    assert [run.info.status for run in runs] == ["FINISHED", "FINISHED"]
    assert box.reasons(flow_run) == {""}
    history = box.stack.mlflow.get_metric_history(runs[0].info.run_id, "train_loss")
    assert sorted(metric.step for metric in history) == list(range(1, 4001))
    check_that_no_run_state_is_left(runs, ROOT)


def test_the_flow_runs_of_a_silent_worker_are_crashed_except_those_whose_process_lives(
    box: Box, bystander: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.killpg(box.worker.pid, signal.SIGKILL)
    box.worker.wait()
    client, reporting = box.stack.prefect, "a worker that reports"
    of_lost_worker, of_reporting_worker = box.send(), box.send()
    client.send_worker_heartbeat("box", reporting)  # else the cleanup of `up`, which goes on, would take it for lost
    for flow_run, worker in ((of_lost_worker, "box"), (of_reporting_worker, reporting)):
        client.update_flow_run_labels(flow_run, {"prefect.worker.name": worker})
        client.set_flow_run_state(flow_run, Running())
    monkeypatch.setattr(cleanup, "SILENCE", 15.0)
    time.sleep(15)
    messages = list[str]()
    cleanup.clean_up(messages.append, 2)  # the servers have not run long enough to know
    assert box.state(of_lost_worker) == "Running"
    client.send_worker_heartbeat("box", reporting)
    cleanup.clean_up(messages.append, 60)
    assert box.state(of_lost_worker) == "Crashed"
    assert box.state(of_reporting_worker) == "Running"
    assert box.state(bystander) == "Running"
    assert box.statuses(bystander) == ["RUNNING", "RUNNING"]
    assert messages == ["Closed what was left open by processes that are gone: 0 in MLflow, 1 in Prefect"]

    os.kill(box.process(bystander), signal.SIGKILL)
    wait_until(lambda: is_gone(box.runs(bystander)[-1].data.tags[PROCESS]) is True)
    cleanup.clean_up(print, 0)
    assert box.statuses(bystander) == ["KILLED", "KILLED"]
    assert box.state(bystander) == "Crashed"
    client.delete_flow_run(of_reporting_worker)

"""What MLflow and Prefect say of a run is true, in whatever way it ended: real servers, worker and processes."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
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

pytestmark = pytest.mark.timeout(400)
FOR_EVER, A_WHILE = {"fit": {"epochs": 1_000_000}}, {"fit": {"epochs": 4000}}
FAILS = """
import sys
import tasks.training
from flows.commands.app import run

def fail(*given):
    raise RuntimeError("no luck")

tasks.training.fit_model = fail
sys.exit(run(sys.argv[1:]))
"""


def eventually(true: Callable[[], bool], seconds: int = 120) -> None:
    """Wait for something."""
    for _ in range(seconds * 5):
        if true():
            return
        time.sleep(0.2)
    raise AssertionError("it did not come")


@dataclass
class Box:
    """A worker, as on another machine, and what is asked of the servers."""

    stack: Stack
    deployment: UUID
    worker: subprocess.Popen[bytes]

    def send(self, **parameters: Any) -> UUID:
        """A flow run for the worker."""
        return self.stack.prefect.create_flow_run_from_deployment(self.deployment, parameters=parameters).id

    def begin(self, **parameters: Any) -> UUID:
        """A flow run that is in training."""
        sent = self.send(**parameters)
        self.wait_for_training(lambda: sent)
        return sent

    def wait_for_training(self, flow_run: Callable[[], UUID]) -> None:
        eventually(lambda: any("train_loss" in run.data.metrics for run in self.runs(flow_run())))

    def runs(self, flow_run: UUID) -> list[Run]:
        """The MLflow runs of a flow run, the one with those below it last."""
        experiments = [found.experiment_id for found in self.stack.mlflow.search_experiments()]
        found = self.stack.mlflow.search_runs(experiments, f"tags.`prefect.flow_run_id` = '{flow_run}'")
        return sorted(found, key=lambda run: "mlflow.parentRunId" not in run.data.tags)

    def statuses(self, flow_run: UUID) -> list[str]:
        return [run.info.status for run in self.runs(flow_run)]

    def reasons(self, flow_run: UUID) -> set[str]:
        return {run.data.tags.get("reason", "") for run in self.runs(flow_run)}

    def process(self, flow_run: UUID) -> int:
        """That which records a flow run."""
        return int(host_and_number(self.runs(flow_run)[-1].data.tags[PROCESS])[1])

    def state(self, flow_run: UUID) -> str | None:
        return self.stack.prefect.read_flow_run(flow_run).state_name

    def clear(self) -> None:
        """End what still trains, and remove the run states of what never came to its end."""
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
    kept = ("flow_id", "entrypoint", "pull_steps", "parameters", "job_variables")
    given = {name: getattr(recipe, name) for name in kept}
    own = stack.prefect.create_deployment(name="statuses", work_pool_name="box", **given)
    start = [BIN / "prefect", "worker", "start", "--pool", "box", "--name", "box", "--type", "process"]
    environment = {**stack.environment, "PREFECT_WORKER_QUERY_SECONDS": "1", "CUDA_VISIBLE_DEVICES": ""}
    with pytest.MonkeyPatch.context() as patch, (up.folder / "box.log").open("wb") as log:
        patch.setenv("MLFLOW_TRACKING_URI", stack.tracking)
        with (
            temporary_settings({PREFECT_API_URL: stack.environment["PREFECT_API_URL"]}),
            subprocess.Popen(start, env=environment, stdout=log, stderr=log, start_new_session=True) as worker,
        ):
            box = Box(stack, own, worker)
            yield box
            worker.kill()
            box.clear()


@pytest.fixture(scope="module")
def bystander(box: Box) -> UUID:
    """A training that lives beside all else, though it gives no sign of it."""
    begun = box.begin(**FOR_EVER)
    os.kill(box.process(begun), signal.SIGSTOP)
    return begun


def command(box: Box, *arguments: str, code: str = "") -> subprocess.Popen[str]:
    """`tidecast train` with the servers of the stack."""
    start = [sys.executable, "-c", code] if code else [BIN / "tidecast"]
    return subprocess.Popen(
        [*start, "train", "gru-sine", *arguments],
        cwd=box.stack.folder,
        env={**box.stack.environment, "CUDA_VISIBLE_DEVICES": ""},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # which a job in the background ignores
    )


def flow_run_of(box: Box, process: subprocess.Popen[str]) -> UUID:
    """What a command recorded; it may go on with the runs that one before it has left."""
    number = str(process.pid)
    for run in box.stack.parents("gru-sine"):
        if host_and_number(run.data.tags[PROCESS])[1] == number:
            return UUID(run.data.tags["prefect.flow_run_id"])
    raise AssertionError(f"process {number} has recorded nothing")


def test_what_a_user_cancels_is_cancelled_and_killed(box: Box, bystander: UUID) -> None:
    sent = box.begin(**FOR_EVER)
    box.stack.prefect.set_flow_run_state(sent, Cancelling())
    assert box.stack.finish(sent).state_name == "Cancelled"
    eventually(lambda: box.statuses(sent) == ["KILLED", "KILLED"])
    (reason,) = box.reasons(sent)
    assert reason.startswith("TerminationSignal"), reason
    assert box.statuses(bystander) == ["RUNNING", "RUNNING"]


@pytest.mark.parametrize(
    ("number", "status", "reason"),
    [(signal.SIGTERM, -signal.SIGTERM, "TerminationSignal"), (signal.SIGINT, 130, "KeyboardInterrupt")],
)
def test_a_command_that_is_told_to_end_says_so(box: Box, number: int, status: int, reason: str) -> None:
    process = command(box, "--fit.epochs", "1000000")
    assert process.stderr is not None
    assert any("gru: epoch 1 " in line for line in process.stderr)
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == status, said
    sent = flow_run_of(box, process)
    assert box.statuses(sent) == ["KILLED", "KILLED"]
    (found,) = box.reasons(sent)
    assert found.startswith(reason)
    assert box.state(sent) == "Crashed"


def test_a_command_that_fails_says_why(box: Box) -> None:
    process = command(box, code=FAILS)
    assert "no luck" in process.communicate(timeout=120)[1]
    assert process.returncode == 1
    sent = flow_run_of(box, process)
    assert box.statuses(sent) == ["FAILED", "FAILED"]
    assert box.reasons(sent) == {"RuntimeError: no luck"}
    assert box.state(sent) == "Failed"


def test_a_command_that_is_killed_is_found(box: Box, bystander: UUID) -> None:
    process = command(box, "--fit.epochs", "1000000")
    assert process.stderr is not None
    assert any("gru: epoch 1 " in line for line in process.stderr)
    process.kill()
    process.communicate()
    cleanup.clean_up(print, 0)
    sent = flow_run_of(box, process)
    assert box.statuses(sent) == ["KILLED", "KILLED"]
    (reason,) = box.reasons(sent)
    assert reason.startswith(f"process {process.pid} of ")
    assert box.state(sent) == "Crashed"
    assert box.statuses(bystander) == ["RUNNING", "RUNNING"]
    assert box.state(bystander) == "Running"


def test_a_flow_run_whose_process_is_killed_is_closed_by_up_and_goes_on_when_it_is_retried(
    box: Box, bystander: UUID
) -> None:
    sent = box.begin(**A_WHILE)
    killed = box.process(sent)
    os.kill(killed, signal.SIGKILL)
    assert box.stack.finish(sent).state_name == "Crashed"
    eventually(lambda: box.statuses(sent) == ["KILLED", "KILLED"])
    (reason,) = box.reasons(sent)
    assert reason.endswith("is gone: killed, or the machine went down")
    assert box.statuses(bystander) == ["RUNNING", "RUNNING"]
    before = [run.info.run_id for run in box.runs(sent)]
    retry = [BIN / "prefect", "--no-prompt", "flow-run", "retry", str(sent)]
    subprocess.run(retry, env=box.stack.environment, check=True, capture_output=True)
    eventually(lambda: box.state(sent) == "Completed")
    runs = box.runs(sent)
    assert [run.info.run_id for run in runs] == before
    assert [run.info.status for run in runs] == ["FINISHED", "FINISHED"]
    assert box.reasons(sent) == {""}
    history = box.stack.mlflow.get_metric_history(runs[0].info.run_id, "train_loss")
    assert sorted(metric.step for metric in history) == list(range(1, 4001))
    check_that_no_run_state_is_left(runs, ROOT)


def test_what_a_silent_worker_had_in_hand_is_given_up_but_for_what_lives(
    box: Box, bystander: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.killpg(box.worker.pid, signal.SIGKILL)
    box.worker.wait()
    client, monkey = box.stack.prefect, "a worker that reports"
    of_the_lost, of_the_living = box.send(), box.send()
    client.send_worker_heartbeat("box", monkey)  # else the cleanup of `up`, which goes on, would take it for lost
    for flow_run, worker in ((of_the_lost, "box"), (of_the_living, monkey)):
        client.update_flow_run_labels(flow_run, {"prefect.worker.name": worker})
        client.set_flow_run_state(flow_run, Running())
    monkeypatch.setattr(cleanup, "SILENCE", 15.0)
    time.sleep(15)
    said = list[str]()
    cleanup.clean_up(said.append, 2)  # seconds are not enough to know
    assert box.state(of_the_lost) == "Running"
    client.send_worker_heartbeat("box", monkey)
    cleanup.clean_up(said.append, 60)
    assert box.state(of_the_lost) == "Crashed"
    assert box.state(of_the_living) == "Running"
    assert box.state(bystander) == "Running"
    assert box.statuses(bystander) == ["RUNNING", "RUNNING"]
    assert said == ["Closed what was left open by processes that are gone: 0 in MLflow, 1 in Prefect"]

    os.kill(box.process(bystander), signal.SIGKILL)
    eventually(lambda: is_gone(box.runs(bystander)[-1].data.tags[PROCESS]) is True)
    cleanup.clean_up(print, 0)
    assert box.statuses(bystander) == ["KILLED", "KILLED"]
    assert box.state(bystander) == "Crashed"
    client.delete_flow_run(of_the_living)

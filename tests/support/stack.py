"""A running `tidecast up`, and requests to its servers."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
from mlflow.tracking import MlflowClient
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun

from flows.services.locks import LOCK, server_environment
from flows.services.marks import marked
from tests.support.environment import user_environment
from tests.support.services import free_port
from tests.support.waiting import wait_until

BIN = Path(sys.executable).parent


def command(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start `tidecast` as a terminal does, on a machine without a GPU."""
    settings = {"PREFECT_HOME": str(folder / ".prefect"), "CUDA_VISIBLE_DEVICES": "", **environment}
    return subprocess.Popen(
        [BIN / "tidecast", *arguments],
        cwd=folder,
        env=user_environment(**settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # else a job in the background ignores Ctrl-C
    )


def guardian_of(process: subprocess.Popen[str]) -> psutil.Process:
    """Return the process that ends what a command has started if the command is killed."""
    children = psutil.Process(process.pid).children()
    return next(child for child in children if "flows.services.guardian" in child.cmdline())


@dataclass
class Up:
    """A `tidecast up`, and what it has printed so far."""

    folder: Path
    prefect: int = field(default_factory=free_port)
    mlflow: int = field(default_factory=free_port)
    output: str = ""

    def start(self, *arguments: str) -> None:
        ports = ["--prefect-port", str(self.prefect), "--mlflow-port", str(self.mlflow)]
        self.process, self.output = command(self.folder, "up", *ports, *arguments), ""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if "Ctrl-C ends it all" in line:
                break
        assert self.process.poll() is None, self.output
        self.mark = json.loads((self.folder / LOCK).read_text())["mark"]

    def end(self, number: int) -> int:
        """Send a signal to the command alone; returns its exit status once all of its processes have ended."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end; returns its exit status once all of its processes have ended."""
        self.output += self.process.communicate(timeout=30)[0]
        assert marked(self.mark) == []
        assert server_environment(self.folder) == {}
        return self.process.returncode

    def ask(self, path: str, data: dict[str, Any] | None = None, port: int | None = None) -> Any:
        """Return the answer of a server to a POST, by default of Prefect's."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{port or self.prefect}/api/{path}",
            data=json.dumps(data or {}).encode(),
            headers={"Content-Type": "application/json"},
        )
        for _ in range(20):
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                    return json.load(answer)
            except urllib.error.HTTPError as refusal:
                if refusal.code != 503:  # of a busy SQLite: Prefect's own clients try again, too
                    raise
                time.sleep(0.5)
        raise AssertionError(f"{path}: only answers with status 503")

    def deployments(self) -> dict[str, dict[str, Any]]:
        """Return the deployments by id."""
        return {deployment["id"]: deployment for deployment in self.ask("deployments/filter")}

    def active_schedules(self) -> set[bool]:
        """Return {True} if all schedules are on, and {False} if all are off."""
        deployments = self.deployments().values()
        return {schedule["active"] for deployment in deployments for schedule in deployment["schedules"]}


class Stack:
    """Clients of the servers of one `tidecast up`."""

    def __init__(self, up: Up):
        self.folder = up.folder
        self.prefect = SyncPrefectClient(api=f"http://127.0.0.1:{up.prefect}/api")
        self.tracking = f"http://127.0.0.1:{up.mlflow}"
        self.mlflow = MlflowClient(self.tracking)
        self.environment = user_environment(
            PREFECT_API_URL=f"http://127.0.0.1:{up.prefect}/api",
            MLFLOW_TRACKING_URI=self.tracking,
            PATH=f"{BIN}:{os.environ['PATH']}",
        )

    def start(self, deployment: str, **parameters: Any) -> UUID:
        """Create a flow run, as the Run button of a deployment does; returns its id."""
        deployment_id = self.prefect.read_deployment_by_name(deployment).id
        return self.prefect.create_flow_run_from_deployment(deployment_id, parameters=parameters).id

    def finish(self, run_id: UUID, seconds: int = 180) -> FlowRun:
        """Wait until a flow run has ended, and return it."""
        wait_until(lambda: self._has_ended(run_id), seconds, pause=0.5, message=f"the end of flow run {run_id}")
        return self.prefect.read_flow_run(run_id)

    def _has_ended(self, run_id: UUID) -> bool:
        state = self.prefect.read_flow_run(run_id).state
        return state is not None and state.is_final()

    def run(self, deployment: str, **parameters: Any) -> FlowRun:
        """Create a flow run and wait until it has completed."""
        run = self.finish(self.start(deployment, **parameters))
        assert run.state_name == "Completed", run.state
        return run

    def parents(self, experiment: str) -> list[Any]:
        """Return the MLflow runs of an experiment that have no parent, newest first."""
        existing = self.mlflow.get_experiment_by_name(experiment)
        assert existing is not None
        runs = self.mlflow.search_runs([existing.experiment_id])
        return [run for run in runs if "mlflow.parentRunId" not in run.data.tags]

    def parent_of(self, run: FlowRun, experiment: str) -> Any:
        """Return the MLflow run of a flow run."""
        parents = self.parents(experiment)
        (parent,) = (each for each in parents if each.data.tags["prefect.flow_run_id"] == str(run.id))
        return parent

    def artifacts(self, run: FlowRun) -> dict[str, Any]:
        """Return the artifacts of a flow run in Prefect by key."""
        of_run = {"flow_runs": {"id": {"any_": [str(run.id)]}}}
        artifacts = self.prefect._client.post("/artifacts/filter", json=of_run).json()
        return {artifact["key"]: artifact for artifact in artifacts}

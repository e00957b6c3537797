"""A running `tidecast up`, and what a test asks its servers."""

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
from tests.support.services import free_port

BIN = Path(sys.executable).parent


def command(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """`tidecast` as a terminal starts it, on a machine without a GPU."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))}
    own = {"PREFECT_HOME": str(folder / ".prefect"), "CUDA_VISIBLE_DEVICES": "", **environment}
    return subprocess.Popen(
        [BIN / "tidecast", *arguments],
        cwd=folder,
        env={**inherited, **own},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # which a job in the background ignores
    )


def guardian_of(process: subprocess.Popen[str]) -> psutil.Process:
    """The process that ends what a command has started if the command is killed."""
    children = psutil.Process(process.pid).children()
    return next(child for child in children if "flows.services.guardian" in child.cmdline())


@dataclass
class Up:
    """A `tidecast up` that runs, and what it has said so far."""

    folder: Path
    prefect: int = field(default_factory=free_port)
    mlflow: int = field(default_factory=free_port)
    said: str = ""

    def start(self, *arguments: str) -> None:
        ports = ["--prefect-port", str(self.prefect), "--mlflow-port", str(self.mlflow)]
        self.process, self.said = command(self.folder, "up", *ports, *arguments), ""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line
            if "Ctrl-C ends it all" in line:
                break
        assert self.process.poll() is None, self.said
        self.mark = json.loads((self.folder / LOCK).read_text())["mark"]

    def end(self, number: int) -> int:
        """Send a signal to it alone; its exit status, once nothing of it is left."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        self.said += self.process.communicate(timeout=30)[0]
        assert marked(self.mark) == []
        assert server_environment(self.folder) == {}
        return self.process.returncode

    def ask(self, path: str, data: dict[str, Any] | None = None, port: int | None = None) -> Any:
        """What one of the servers answers to a POST, by default Prefect."""
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
                if refusal.code != 503:  # a busy SQLite, which Prefect's own clients ask again
                    raise
                time.sleep(0.5)
        raise AssertionError(f"{path} is answered by 503 alone")

    def deployments(self) -> dict[str, dict[str, Any]]:
        """What is deployed, by id."""
        return {found["id"]: found for found in self.ask("deployments/filter")}

    def active(self) -> set[bool]:
        """Whether schedules are on."""
        return {schedule["active"] for found in self.deployments().values() for schedule in found["schedules"]}


class Stack:
    """The servers of one `tidecast up`, asked over HTTP."""

    def __init__(self, up: Up):
        self.folder = up.folder
        self.prefect = SyncPrefectClient(api=f"http://127.0.0.1:{up.prefect}/api")
        self.tracking = f"http://127.0.0.1:{up.mlflow}"
        self.mlflow = MlflowClient(self.tracking)
        own = {"PREFECT_API_URL": f"http://127.0.0.1:{up.prefect}/api", "MLFLOW_TRACKING_URI": self.tracking}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))}
        self.environment = {**inherited, **own, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def start(self, deployment: str, **parameters: Any) -> UUID:
        """What the Run button of a deployment does."""
        found = self.prefect.read_deployment_by_name(deployment)
        return self.prefect.create_flow_run_from_deployment(found.id, parameters=parameters).id

    def finish(self, run_id: UUID, seconds: int = 180) -> FlowRun:
        """The flow run, once it is over."""
        for _ in range(seconds * 2):
            run = self.prefect.read_flow_run(run_id)
            if run.state is not None and run.state.is_final():
                return run
            time.sleep(0.5)
        raise AssertionError(f"{run.name} is {run.state} after {seconds} s")

    def run(self, deployment: str, **parameters: Any) -> FlowRun:
        run = self.finish(self.start(deployment, **parameters))
        assert run.state_name == "Completed", run.state
        return run

    def parents(self, experiment: str) -> list[Any]:
        """The MLflow runs of an experiment that have no parent, newest first."""
        found = self.mlflow.get_experiment_by_name(experiment)
        assert found is not None
        runs = self.mlflow.search_runs([found.experiment_id])
        return [run for run in runs if "mlflow.parentRunId" not in run.data.tags]

    def parent_of(self, run: FlowRun, experiment: str) -> Any:
        """The MLflow run of a flow run."""
        (found,) = [each for each in self.parents(experiment) if each.data.tags["prefect.flow_run_id"] == str(run.id)]
        return found

    def artifacts(self, run: FlowRun) -> dict[str, Any]:
        found = self.prefect._client.post(
            "/artifacts/filter", json={"flow_runs": {"id": {"any_": [str(run.id)]}}}
        ).json()
        return {artifact["key"]: artifact for artifact in found}

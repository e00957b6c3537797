"""An MLflow server that a test kills, freezes and restarts, a proxy that breaks, and checks of what a training left."""

import http.client
import http.server
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from mlflow.tracking import MlflowClient

from tasks.resuming.run_state import RUN_STATES
from tests.support.services import free_port, wait_for
from tests.support.stack import command

MODELS = {"elman": 600, "numpy_rnn": 200}
"""Models that train quickly, and for how many epochs."""
TRAIN = [
    *("train", "--series.wave", "sine", "--series.points", "400", "--models", ",".join(MODELS)),
    *("--elman.epochs", str(MODELS["elman"]), "--numpy-rnn.epochs", str(MODELS["numpy_rnn"])),
]
HASTY = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "2",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


@dataclass
class TrackingServer:
    """An MLflow server whose database and files lie in a folder."""

    folder: Path
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, port: int | None = None) -> None:
        self.port = port or self.port
        store = ["--backend-store-uri", "sqlite:///mlflow.db", "--artifacts-destination", "./files", "--workers", "1"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--port", str(self.port), *store],
            cwd=self.folder,
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},  # four processes less
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(f"{self.url}/health")

    def signal(self, number: int) -> None:
        """Send a signal to the server and its workers."""
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def tracking_server(folder: Path) -> Iterator[TrackingServer]:
    running = TrackingServer(folder)
    try:
        running.start()
        yield running
    finally:
        running.kill()


class Proxy(http.server.ThreadingHTTPServer):
    """Forwards to a server; `breaks`: a status of 500 or more to answer with instead, or seconds to wait before."""

    def __init__(self, target: int):
        super().__init__(("127.0.0.1", 0), Forward)
        self.target, self.breaks = target, 0.0
        self.url = f"http://127.0.0.1:{self.server_port}"


class Forward(http.server.BaseHTTPRequestHandler):
    server: Proxy

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.server.breaks >= 500:
            self.send_error(int(self.server.breaks))
            return
        time.sleep(self.server.breaks)
        target = http.client.HTTPConnection("127.0.0.1", self.server.target)
        target.request(self.command, self.path, body, dict(self.headers))
        answer = target.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "content-length", "connection", "server", "date"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_PATCH = do_PUT = do_DELETE = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def proxy(target: int) -> Iterator[Proxy]:
    with Proxy(target) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


class Command:
    """A `tidecast` that runs, and the lines that it has printed so far."""

    def __init__(self, folder: Path, *arguments: str, **environment: str):
        self.process, self.lines = command(folder, *arguments, **HASTY, **environment), list[str]()

    def until(self, *words: str) -> None:
        """Read on until a line contains one of some words."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if any(word in line for word in words):
                return
        raise AssertionError("".join(self.lines))

    def end(self) -> int:
        """Wait for the end; returns the exit status."""
        self.lines += self.process.communicate(timeout=200)[0].splitlines(keepends=True)
        assert "Traceback" not in "".join(self.lines), "".join(self.lines)
        return self.process.returncode


def done(folder: Path, *arguments: str, **environment: str) -> tuple[int, list[str]]:
    """Run a command; returns its exit status and its lines."""
    running = Command(folder, *arguments, **environment)
    return running.end(), running.lines


def check_whole(uri: str, name: str, folder: Path) -> None:
    """Check that all of a training is in MLflow, once, and that no run state is left in the folder where it ran."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    runs = {run.data.tags.get("model", ""): run for run in client.search_runs([experiment.experiment_id])}
    assert {model: run.info.status for model, run in runs.items()} == dict.fromkeys(("", *MODELS), "FINISHED")
    assert len(client.search_runs([experiment.experiment_id])) == 1 + len(MODELS)
    for model, epochs in MODELS.items():
        run_id = runs[model].info.run_id
        losses = client.get_metric_history(run_id, "train_loss")
        assert [loss.step for loss in losses] == list(range(1, epochs + 1)), model
        times = [loss.timestamp for loss in losses]
        assert times == sorted(times)
        assert {"val_rmse", "test_rmse", "seconds"} <= runs[model].data.metrics.keys()
        assert runs[model].data.params["model"] == model
        files = {file.path for at in ("", "plots", "predictions") for file in client.list_artifacts(run_id, at)}
        assert {"spec.json", "plots/predictions.png", f"predictions/{model}.parquet"} <= files
    files = {file.path for at in ("", "plots") for file in client.list_artifacts(runs[""].info.run_id, at)}
    assert {"comparison.json", "gate.json", "plots/comparison.png"} <= files
    logged = client.search_logged_models([experiment.experiment_id])
    assert sorted((model.name, model.status) for model in logged) == [(model, "READY") for model in sorted(MODELS)]
    (version,) = client.search_model_versions(f"name = '{name}'")
    assert client.get_registered_model(name).aliases["challenger"] == version.version
    assert runs[""].data.tags["version"] == f"{name}/{version.version}"
    assert list(folder.glob(f"{RUN_STATES}/*")) == []


def only_run_state(folder: Path) -> Path:
    """The folder of the only run state in a folder."""
    (run_state,) = folder.glob(f"{RUN_STATES}/*")
    return run_state

"""The door to MLflow, on a real database."""

import os
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow.tracking import MlflowClient

from models.data.panel import one_series
from models.data.scaling import fit_scaling
from models.errors import InputError
from models.forecaster import Forecaster, build_network
from models.specs import FitSpec, ModelSpec, RecurrentSpec, WindowSpec
from tasks.data.series import Series
from tasks.tracking.curves import Curves
from tasks.tracking.database import refuse_closed_database
from tasks.tracking.entries import flatten, log_params
from tasks.tracking.files import artifact_folder
from tasks.tracking.forecasters import MODEL_ID, log_model
from tasks.tracking.runs import tracked_run
from tasks.tracking.tracker import TRACKER, Tracker


@pytest.fixture
def client(mlflow_folder: Path) -> MlflowClient:
    return TRACKER.client()


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError("no luck"), "FAILED"), (KeyboardInterrupt(), "KILLED"), (SystemExit(), "KILLED")]
)
def test_a_run_that_ends_with_an_error_has_its_status_and_reason(
    client: MlflowClient, error: BaseException, status: str
) -> None:
    def fail() -> None:
        with tracked_run(f"failed by {type(error).__name__}", "run", {}):
            raise error

    with pytest.raises(type(error)):
        fail()
    experiment = client.get_experiment_by_name(f"failed by {type(error).__name__}")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == status
    assert type(error).__name__ in run.data.tags["reason"]


def test_a_run_that_ends_well_is_finished_with_those_below_it(client: MlflowClient) -> None:
    with tracked_run("well", "parent", {"a": "b"}, ["gru"]) as run:
        assert client.get_run(run.children["gru"]).info.status == "SCHEDULED"
        with run.child("gru") as child:
            TRACKER.settle()
            assert client.get_run(child).info.status == "RUNNING"
    assert client.get_run(child).info.status == client.get_run(run.id).info.status == "FINISHED"
    assert client.get_run(child).data.tags["mlflow.parentRunId"] == run.id
    assert client.get_run(child).data.tags["model"] == "gru"
    assert client.get_run(run.id).data.tags["a"] == "b"
    assert mlflow.active_run() is None


def test_curves_reach_mlflow_whole_and_in_order(client: MlflowClient) -> None:
    with tracked_run("curves", "run", {}) as run:
        curves = Curves(run.id, interval=3600)  # so that only full batches and the last flush send
        for epoch in range(1, 1201):
            curves.add(epoch, {"train_loss": 1 / epoch, "val_loss": 2 / epoch})
        TRACKER.settle()
        assert len(client.get_metric_history(run.id, "train_loss")) < 1200
        curves.flush()
    history = client.get_metric_history(run.id, "val_loss")
    assert [metric.step for metric in history] == list(range(1, 1201))
    assert [metric.value for metric in history] == [2 / epoch for epoch in range(1, 1201)]


def test_more_params_than_one_batch_holds_are_all_logged(client: MlflowClient) -> None:
    with tracked_run("params", "run", {}) as run:
        log_params(run.id, {"many": {f"p{n}": n for n in range(250)}})
    assert client.get_run(run.id).data.params == {f"many.p{n}": str(n) for n in range(250)}


def test_settings_are_flattened_to_dotted_names() -> None:
    assert flatten({"a": {"b": 1, "c": {"d": [2]}}, "fit": FitSpec(epochs=7)})["fit.epochs"] == 7
    assert flatten({"a": {"b": 1, "c": {"d": [2]}}}) == {"a.b": 1, "a.c.d": [2]}


@pytest.mark.parametrize("name", ["../../etc/x", "a/b", "x" * 300, "..", "näme"])
def test_no_name_leads_out_of_the_artifact_folder(mlflow_folder: Path, name: str) -> None:
    with tracked_run(name, "run", {}) as run:
        folder = Path(artifact_folder(run.id)).resolve()
    assert folder.is_relative_to((mlflow_folder / "artifacts").resolve())


def test_the_tracker_is_opened_once_for_each_address_and_makes_a_database_that_has_vanished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = []
    for name in ("first", "second"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/{name}.db")
        assert TRACKER.uri == f"sqlite:///{tmp_path}/{name}.db"
        assert not (tmp_path / f"{name}.db").exists()
        clients += [TRACKER.client(), TRACKER.client()]
        assert TRACKER.ask(lambda client: client.tracking_uri) == TRACKER.uri
    assert clients[0] is clients[1] is not clients[2]
    assert clients[2] is clients[3]
    (tmp_path / "second.db").unlink()
    assert TRACKER.client() is clients[2]
    assert (tmp_path / "second.db").stat().st_size > 100_000


def test_the_tracker_follows_a_lock_file_and_changes_nothing_before_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:s3cret@127.0.0.1:1")
    monkeypatch.setenv("TIDECAST_LOCK", str(tmp_path / "lock"))
    before, tracker = dict(os.environ), Tracker()
    assert tracker.uri == "http://127.0.0.1:1"
    (tmp_path / "lock").write_text('{"environment": {"MLFLOW_TRACKING_URI": "http://127.0.0.1:2"}}')
    assert tracker.uri == "http://127.0.0.1:2"
    assert tracker.describe() == "the MLflow server at http://127.0.0.1:2"
    for content in ('{"environment": {"MLFLOW_TRA', "{}", ""):
        (tmp_path / "lock").write_text(content)
        assert tracker.describe() == "the MLflow server at http://127.0.0.1:1"
    assert dict(os.environ) == before


def test_no_url_with_a_password_is_kept_once_the_tracker_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "PREFECT_API_AUTH_STRING"):
        monkeypatch.setenv(name, "")  # so that it is put back
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:s3cret@127.0.0.1:1")
    monkeypatch.setenv("PREFECT_API_URL", "http://bob:s4cret@127.0.0.1:2/api")
    client = TRACKER.client()
    assert client.tracking_uri == os.environ["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:1"
    assert (os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"]) == ("ann", "s3cret")
    assert os.environ["PREFECT_API_URL"] == "http://127.0.0.1:2/api"


LOAD = """
import sys
sys.path = [path for path in sys.path if path != sys.argv[2]]  # as on a machine without this project
import mlflow, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
rows = pd.DataFrame({"unique_id": "sine", "ds": range(20), "y": [0.5] * 20})
forecast = model.predict(rows, params={"horizon": 9})
import models
print(models.__file__, len(forecast))
"""


def test_a_logged_model_carries_its_own_code(client: MlflowClient, mlflow_folder: Path) -> None:
    values = np.sin(np.arange(60) / 3)
    panel = one_series("sine", values)
    spec = ModelSpec(model="gru", window=WindowSpec(length=10), recurrent=RecurrentSpec(hidden=4))
    forecaster = Forecaster(spec, fit_scaling(panel, panel.ends, spec.window), build_network(spec), step=panel.step)
    with tracked_run("model", "run", {}) as run:
        log_model(run.id, forecaster, Series("sine", panel, (), "0" * 64, "sine", "sine"))
    root = str(Path(__file__).parent.parent)
    environment = {**os.environ, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    uri = f"models:/{client.get_run(run.id).data.tags[MODEL_ID]}"
    command = [sys.executable, "-c", LOAD, uri, root]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    code, count = done.stdout.split()
    assert Path(code).is_relative_to(mlflow_folder / "artifacts")
    assert count == "9"


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("mysql+pymysql://ann:s3cret@127.0.0.1/runs", "No module named 'pymysql'"),
        ("postgresql+psycopg://ann:s3cret@127.0.0.1:1/runs", "127.0.0.1"),
        ("postgresql+psycopg://ann:s3cret@127.0.0.1:port/runs", "port"),
    ],
)
def test_a_database_server_that_cannot_be_used_is_refused_at_once_without_its_password(uri: str, reason: str) -> None:
    with pytest.raises(InputError, match=r"^the database .* cannot be used: ") as refused:
        refuse_closed_database(uri)
    assert reason in str(refused.value)
    assert "s3cret" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "./mlruns", "file:///srv/mlruns", "http://127.0.0.1:1"])
def test_what_is_not_a_database_server_is_left_to_mlflow(uri: str) -> None:
    refuse_closed_database(uri)

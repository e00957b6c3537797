"""Four commands at once in one folder, whose database they make: no run is lost, and none is mixed with another."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from mlflow import MlflowClient
from prefect.settings import get_current_settings

from tasks.tracking.database import make_database
from tests.support.environment import user_environment
from tests.support.stack import BIN
from tests.support.tracked import (
    all_runs,
    check_that_no_metric_is_lost,
    check_that_no_run_state_is_left,
    check_that_nothing_is_mixed,
    check_the_champions,
    parents,
)

pytestmark = pytest.mark.timeout(600)
MAKE = "import sys; from tasks.tracking.database import make_database; make_database(sys.argv[1])"


def train(folder: Path, lines: Sequence[str], **environment: str) -> MlflowClient:
    """Run `tidecast train` once for each line, all at once in a new folder; returns MLflow's client when they ended."""
    settings = {"PREFECT_HOME": str(folder / ".prefect"), "CUDA_VISIBLE_DEVICES": "", **environment}
    started = [
        subprocess.Popen(
            [BIN / "tidecast", "train", *line.split()],
            cwd=folder,
            env=user_environment(**settings),
            stderr=subprocess.PIPE,
            text=True,
        )
        for line in lines
    ]
    errors = [process.communicate()[1] for process in started]
    assert [process.returncode for process in started] == [0] * len(lines), "\n".join(errors)
    return MlflowClient(f"sqlite:///{folder}/mlflow.db")


def check(mlflow: MlflowClient, folder: Path, count: int) -> None:
    runs = all_runs(mlflow)
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert len(parents(runs)) == count
    assert len({parent.data.tags["version"] for parent in parents(runs).values()}) == count
    check_that_nothing_is_mixed(runs)
    check_that_no_metric_is_lost(mlflow, runs)
    check_the_champions(mlflow, runs)
    check_that_no_run_state_is_left(runs, folder)


def test_the_same_training_four_times_at_once_each_with_a_server_of_its_own(tmp_path: Path) -> None:
    mlflow = train(tmp_path, ["gru-sine --fit.epochs 30"] * 4)
    check(mlflow, tmp_path, 4)
    (model,) = mlflow.search_registered_models()
    assert int(model.aliases["challenger"]) in range(1, 5)
    assert [version.tags["gate"] for version in mlflow.search_model_versions("name = 'sine'")].count("promoted") == 1


def test_different_trainings_at_once_with_one_server(tmp_path: Path, prefect_server: None) -> None:
    lines = [
        "gru-sine --fit.epochs 30 --seed 1",
        "gru-sine --fit.epochs 20 --seed 2",
        "gru-cosine --fit.epochs 25",
        "elman-sine --elman.epochs 10",
    ]
    mlflow = train(tmp_path, lines, PREFECT_API_URL=str(get_current_settings().api.url))
    check(mlflow, tmp_path, 4)
    trained = {
        (run.data.tags["recipe"], run.data.params["seed"], run.data.params["fit.epochs"])
        for run in parents(all_runs(mlflow)).values()
    }
    assert {("gru-sine", "1", "30"), ("gru-sine", "2", "20"), ("gru-cosine", "0", "25")} < trained
    assert {model.name for model in mlflow.search_registered_models()} == {"sine", "cosine", "sine-21"}


def test_a_database_whose_maker_was_killed_is_made_anew(tmp_path: Path) -> None:
    uri, draft = f"sqlite:///{tmp_path}/mlflow.db", tmp_path / ".tidecast" / "mlflow.db.draft" / "mlflow.db"
    with subprocess.Popen([sys.executable, "-c", MAKE, uri]) as process:
        while not (draft.exists() and draft.stat().st_size > 100_000):  # of a million
            assert process.poll() is None
        process.kill()
    assert not (tmp_path / "mlflow.db").exists()
    make_database(uri)
    assert [path.name for path in (tmp_path / ".tidecast").iterdir()] == ["mlflow.db.lock"]
    assert MlflowClient(uri).search_experiments()[0].name == "Default"

"""The whole cycle through real servers and workers: train, promote, forecast, monitor, alarm, train again.

All tests share one `tidecast up`. Flow runs are created through Prefect's API and run by its workers, and what they
record is read over HTTP.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort

from flows.catalogue import ROOT, recipes_of
from models.baselines import BASELINES
from tests.support.stack import BIN, Stack, Up
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(400)
SMALL = {"fit": {"epochs": 2}, "elman": {"epochs": 3}, "numpy_rnn": {"epochs": 3}}


@pytest.fixture(scope="module")
def stack(up: Up) -> Iterator[Stack]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{up.mlflow}")
        yield Stack(up)


@pytest.fixture(scope="module")
def finished(stack: Stack) -> dict[str, FlowRun]:
    """A small run of every recipe, all started at once."""
    started = {name: stack.start(f"train/{name}", **SMALL) for name in recipes_of("train")}
    return {name: stack.finish(run_id) for name, run_id in started.items()}


def test_every_recipe_runs_on_a_worker(finished: dict[str, FlowRun]) -> None:
    assert {name: run.state_name for name, run in finished.items()} == dict.fromkeys(recipes_of("train"), "Completed")


def test_every_run_is_recorded_and_registered(stack: Stack, finished: dict[str, FlowRun]) -> None:
    for name, run in finished.items():
        parent = stack.parent_of(run, name)
        assert parent.info.status == "FINISHED"
        assert parent.data.tags["device"] == "cpu"
        assert parent.data.tags["device.memory"].endswith(" GiB")
        model, number = parent.data.tags["version"].split("/")
        version = stack.mlflow.get_model_version(model, number)
        assert version.tags["gate"] == parent.data.tags["gate"]
        assert version.tags["recipe"] == name


def test_a_backtest_runs_on_a_worker_and_records_its_scores(stack: Stack) -> None:
    run = stack.run("backtest/co2", models=["gru"], horizon=4, stride=20, fit={"epochs": 2})
    parent = stack.parent_of(run, "co2 backtests")
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["chosen"] in ("gru", parent.data.tags.get("better_baseline"))
    assert {"val_rmse", "test_mase", "test_coverage_90", "baseline_linear_ar_test_rmse"} <= set(parent.data.metrics)
    rows = json.loads(stack.artifacts(run)["backtest"]["data"])
    marked = [row["model"] for row in rows]
    assert [name.split()[0] for name in marked] == ["gru", *BASELINES]
    assert [name for name in marked if name.endswith(" *")] == [f"{parent.data.tags['chosen']} *"]


def test_the_pages_of_prefect_and_mlflow_link_to_each_other(stack: Stack, finished: dict[str, FlowRun]) -> None:
    parent = stack.parent_of(finished["sine"], "sine")
    artifacts = stack.artifacts(finished["sine"])
    assert set(artifacts) == {
        "mlflow-run",
        "mlflow-scores",
        "comparison",
        "training-rnn",
        "training-gru",
        "training-lstm",
    }
    assert (
        f"{stack.tracking}/#/experiments/{parent.info.experiment_id}/runs/{parent.info.run_id}"
        in artifacts["mlflow-run"]["data"]
    )
    assert artifacts["training-gru"]["data"] == 100.0
    rows = json.loads(artifacts["comparison"]["data"])
    assert [row["model"].split()[0] for row in rows] == [
        "rnn",
        "gru",
        "lstm",
        "combined",
        *BASELINES,
    ]
    url = parent.data.tags["prefect.flow_run_url"]
    assert url.endswith(str(finished["sine"].id))
    assert url in parent.data.tags["mlflow.note.content"]


def test_a_recipe_that_asks_for_cuda_fails_at_once_on_a_cpu_worker(stack: Stack) -> None:
    run = stack.finish(stack.start("train/gru-sine", device="cuda"))
    assert run.state is not None
    assert run.state_name == "Failed"
    assert "--device cuda: no CUDA device is visible here" in str(run.state.message)
    assert run.total_run_time.total_seconds() < 10


def test_a_parameter_out_of_bounds_is_refused_before_a_run_is_made(stack: Stack) -> None:
    with pytest.raises(Exception, match=r"less than or equal to|maximum"):
        stack.start("train/gru-sine", recurrent={"hidden": 100_000})


def write_load(old: int, new: int) -> None:
    """Write a noisy hourly series with a daily cycle: `old` hours of a sine, then `new` hours of a square wave."""
    hours, noise = np.arange(old + new), np.random.default_rng(0).normal(0, 1.5, 2000)
    daily = np.where(hours < old, np.sin(hours * np.pi / 12), np.where(hours % 24 < 12, 1.0, -1.0))
    times = pd.date_range("2024-01-01", periods=len(hours), freq="h")
    table = pd.DataFrame({"unique_id": "load", "ds": times, "y": 100 + 10 * daily + noise[: len(hours)]})
    table.to_csv("load.csv", index=False)


@pytest.fixture(scope="module")
def load(stack: Stack) -> Iterator[Stack]:
    """A stack with the three deployments of a series `load`, as a user would add them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(stack.folder)
        write_load(500, 0)
        training = {
            "recipe": "load",
            "models": ["gru"],
            "series": {"path": str(Path("load.csv").absolute())},
            "horizon": 1,
            "window": {"length": 24, "horizon": 1, "transform": "none", "calendar": []},
            "split": {"validation": 72, "test": 72},
            "recurrent": {"hidden": 24, "target_offset": "last", "segment": 1, "highway": 0},
            "fit": {
                **{"epochs": 60, "learning_rate": 0.01, "batch": 32, "members": 3},
                **{"windows": None, "loss": "mse", "final_steps": 0},
            },
            "gate": {"linear_ar": False},  # which is as good as anything on a sine with noise
        }
        trigger = {"expect": ["tidecast.forecast.degraded"], "match": {"prefect.resource.id": "tidecast.series.load"}}
        catalogue = yaml.safe_load((ROOT / "prefect.yaml").read_text())
        common = {"name": "load", "work_pool": {"name": "cpu"}}
        catalogue["deployments"] = [
            {**common, "entrypoint": "flows/train.py:train", "parameters": training, "triggers": [trigger]},
            {**common, "entrypoint": "flows/forecast.py:forecast", "parameters": {"model": "load", "horizon": 24}},
            {**common, "entrypoint": "flows/monitor.py:monitor", "parameters": {"model": "load"}},
        ]
        Path("load.yaml").write_text(yaml.safe_dump(catalogue))
        deploy = ["prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(Path("load.yaml").absolute())]
        environment = {**stack.environment, "PWD": str(ROOT)}
        subprocess.run([BIN / deploy[0], *deploy[1:]], cwd=ROOT, env=environment, check=True, capture_output=True)
        yield stack


def trainings(stack: Stack) -> list[FlowRun]:
    deployment = stack.prefect.read_deployment_by_name("train/load")
    runs = stack.prefect.read_flow_runs(sort=FlowRunSort.START_TIME_ASC)
    return [run for run in runs if run.deployment_id == deployment.id]


def champion(stack: Stack) -> int:
    return int(stack.mlflow.get_model_version_by_alias("load", "champion").version)


def health(stack: Stack) -> dict[str, str]:
    return stack.parents("load monitor")[0].data.tags


def test_a_change_of_regime_is_noticed_and_leads_to_a_better_champion(load: Stack) -> None:
    load.run("train/load")
    assert champion(load) == 1
    write_load(500, 48)
    load.run("forecast/load")
    write_load(500, 500)
    load.run("monitor/load")
    assert health(load)["health"] == "degraded", health(load)

    wait_until(lambda: len(trainings(load)) == 2, 60, pause=0.5)  # the trigger creates one
    again = trainings(load)[1]
    assert again.created_by is not None
    assert again.created_by.type == "AUTOMATION"
    assert load.finish(again.id).state_name == "Completed"
    assert champion(load) == 2
    (newest, _) = load.parents("load")
    assert newest.data.metrics["gate/challenger_test_rmse"] < 0.8 * newest.data.metrics["gate/champion_test_rmse"]

    load.run("forecast/load")
    write_load(500, 524)
    load.run("monitor/load")
    assert health(load)["health"] == "good", health(load)
    assert len(trainings(load)) == 2

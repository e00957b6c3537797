"""The main job from end to end, with a real Prefect server, MLflow database, training, plots and models."""

import json
import time
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from flows.train import train
from models.baselines import BASELINES
from models.errors import InputError
from models.specs import COMBINED, ElmanSpec, FitSpec, NumpyRNNSpec, RecurrentSpec, SeriesSpec, SplitSpec, WindowSpec
from tasks.report import models_worse_than_baselines, report_training
from tasks.tracking.tracker import TRACKER

EPOCHS = 6


def two_series() -> pd.DataFrame:
    """Return two noisy hourly waves; the second is a day shorter, and the first has a gap."""
    random = np.random.default_rng(0)
    tables = []
    for name, points, level in (("north", 240, 20.0), ("south", 216, 500.0)):
        times = pd.date_range("2024-01-01", periods=points, freq="h")
        values = level + 5 * np.sin(np.arange(points) * 2 * np.pi / 24) + random.normal(0, 0.3, points)
        tables.append(pd.DataFrame({"place": name, "hour": times, "load": values}))
    table = pd.concat(tables, ignore_index=True)
    table.loc[100:102, "load"] = np.nan
    return table


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "loads.csv"
    two_series().to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def summary(prefect_server: None, mlflow_folder: Path, table: Path) -> dict[str, Any]:
    """Run the flow once on a user's file."""
    return train(
        recipe="custom",
        models=["rnn", "gru"],
        series=SeriesSpec(path=str(table), id="place", time="hour", value="load"),
        window=WindowSpec(length=24),
        recurrent=RecurrentSpec(hidden=8),
        fit=FitSpec(epochs=EPOCHS),
    )


@pytest.fixture(scope="module")
def client(summary: dict[str, Any]) -> MlflowClient:
    return MlflowClient()


def test_the_parent_run_records_settings_data_and_origin(summary: dict[str, Any], client: MlflowClient) -> None:
    run = client.get_run(summary["parent_run_id"])
    assert run.info.status == "FINISHED"
    assert client.get_experiment(run.info.experiment_id).name == summary["experiment"] == "loads"
    assert run.data.params["fit.epochs"] == str(EPOCHS)
    assert run.data.params["series.value"] == "load"
    assert {"recipe", "device", "data.sha256", "mlflow.source.git.commit", "prefect.flow_run_id"} <= set(run.data.tags)
    assert run.data.tags["chosen"] == summary["chosen"]
    assert "filled 3 of 456" in run.data.tags["data.notes"]
    dataset = run.inputs.dataset_inputs[0].dataset
    assert dataset.name == "loads"
    assert json.loads(dataset.profile)["points"] == 456


def test_every_model_has_a_run_with_curves_scores_and_files(summary: dict[str, Any], client: MlflowClient) -> None:
    for name, model in summary["models"].items():
        run = client.get_run(model["run_id"])
        assert run.info.status == "FINISHED"
        assert run.data.tags["mlflow.parentRunId"] == summary["parent_run_id"]
        epochs = [] if name == COMBINED else list(range(1, EPOCHS + 1))  # the mean has no training of its own
        for curve in ("train_loss", "val_loss"):
            history = client.get_metric_history(model["run_id"], curve)
            assert [metric.step for metric in history] == epochs
        for score, value in model["metrics"].items():
            assert run.data.metrics[score] == pytest.approx(value)
        files = {f.path for folder in ("plots", "predictions") for f in client.list_artifacts(model["run_id"], folder)}
        expected = {f"plots/{plot}.png" for plot in ("loss_curves", "predictions") if epochs or plot == "predictions"}
        assert expected | {f"predictions/{name}.parquet"} <= files


def test_the_weights_of_the_combined_model_are_recorded(summary: dict[str, Any], client: MlflowClient) -> None:
    metrics = client.get_run(summary["models"][COMBINED]["run_id"]).data.metrics
    weights = {name.removeprefix("weight_"): value for name, value in metrics.items() if name.startswith("weight_")}
    assert set(weights) == set(summary["models"]) - {COMBINED} | set(BASELINES)
    assert sum(weights.values()) == pytest.approx(1)
    assert min(weights.values()) > 0


def test_scores_can_be_computed_again_from_the_predictions(summary: dict[str, Any]) -> None:
    for name, model in summary["models"].items():
        path = mlflow.artifacts.download_artifacts(run_id=model["run_id"], artifact_path=f"predictions/{name}.parquet")
        table = pd.read_parquet(path)
        actual = two_series().rename(columns={"place": "unique_id", "hour": "ds"})
        merged = table.merge(actual, on=["unique_id", "ds"])
        assert len(merged) == len(table)
        np.testing.assert_allclose(merged["y"], merged["load"])  # so no filled value is a target
        assert (table["ds"] - table["cutoff"] == pd.Timedelta(1, "h")).all()
        for part, rows in table.groupby("part"):
            score = np.sqrt(((rows[name] - rows["y"]) ** 2).mean())
            assert score == pytest.approx(model["metrics"][f"{part}_rmse"])


def test_the_baselines_stand_beside_the_models(summary: dict[str, Any], client: MlflowClient) -> None:
    metrics = client.get_run(summary["parent_run_id"]).data.metrics
    for name in BASELINES:
        assert metrics[f"baseline_{name}_val_rmse"] == pytest.approx(summary["baselines"][name]["val_rmse"])
    scores = {name: model["metrics"]["val_mase"] for name, model in summary["models"].items()}
    assert summary["chosen_by"] == "val_mase"  # there are two series
    assert scores[summary["chosen"]] * 0.98 <= min(scores.values())
    best = summary["models"][summary["chosen"]]["metrics"]["val_rmse"]
    expected = 1 - best / summary["baselines"]["last_value"]["val_rmse"]
    assert metrics["skill_last_value_val_rmse"] == pytest.approx(expected)
    assert [f.path for f in client.list_artifacts(summary["parent_run_id"], "plots")] == ["plots/comparison.png"]


def test_the_logged_model_forecasts_from_raw_rows_without_a_pickle(
    summary: dict[str, Any], client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    run = client.get_run(summary["models"]["gru"]["run_id"])
    model_id = run.outputs.model_outputs[0].model_id
    assert client.get_logged_model(model_id).experiment_id == run.info.experiment_id
    model = mlflow.pyfunc.load_model(f"models:/{model_id}")
    rows = two_series().rename(columns={"place": "unique_id", "hour": "ds", "load": "y"})
    forecast = model.predict(rows, params={"horizon": 30})
    assert list(forecast.columns) == ["unique_id", "cutoff", "ds", "gru", "gru-lo-90", "gru-hi-90"]
    assert forecast.groupby("unique_id")["gru"].count().to_dict() == {"north": 30, "south": 30}
    assert forecast["ds"].iloc[0] == pd.Timestamp("2024-01-11 00:00")
    for name, level in (("north", 20), ("south", 500)):  # each in its own scale
        assert forecast.loc[forecast["unique_id"] == name, "gru"].between(level - 15, level + 15).all()


def test_the_chain_of_tasks_can_be_seen_in_prefect(summary: dict[str, Any], client: MlflowClient) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    flow_run_id = client.get_run(summary["parent_run_id"]).data.tags["prefect.flow_run_id"]
    wanted = {
        "read_series",
        "prepare_data",
        "evaluate_baselines",
        "fit_model",
        "evaluate",
        "plot_model",
        "record_model",
    }
    names: set[str] = set()
    with get_client(sync_client=True) as prefect:
        for _ in range(60):  # task runs are recorded a little later
            runs = prefect.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id])))
            names = {run.name.split(":")[0].rsplit("-", 1)[0] for run in runs}
            if wanted <= names:
                break
            time.sleep(0.5)
    assert wanted <= names


def test_the_same_seed_gives_the_same_scores(summary: dict[str, Any], table: Path) -> None:
    again = train(
        models=["gru"],
        series=SeriesSpec(path=str(table), id="place", time="hour", value="load"),
        window=WindowSpec(length=24),
        recurrent=RecurrentSpec(hidden=8),
        fit=FitSpec(epochs=EPOCHS),
    )
    assert again["models"]["gru"]["metrics"] == summary["models"]["gru"]["metrics"]


def test_without_other_parts_a_model_is_scored_on_training(prefect_server: None, mlflow_folder: Path) -> None:
    summary = train(
        recipe="elman",
        models=["elman"],
        series=SeriesSpec(wave="sine", start=2, stop=10, points=21),
        split=SplitSpec(validation=0, test=0),
        window=WindowSpec(length=1, scale="none"),
        elman=ElmanSpec(epochs=5),
    )
    scores = summary["models"]["elman"]["metrics"]
    assert set(scores) == {"train_rmse", "free_run_rmse_100", "free_run_rmse_1000"}
    assert summary["chosen"] == "elman"


def test_a_run_that_fails_is_closed_as_failed_with_its_reason(prefect_server: None, mlflow_folder: Path) -> None:
    with pytest.raises(InputError, match="elman"):
        train(
            recipe="failing",
            models=["elman"],
            series=SeriesSpec(wave="sine"),
            window=WindowSpec(horizon=2),
        )
    client = MlflowClient()
    experiment = client.get_experiment_by_name("failing")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} == {"FAILED"}
    assert all("--window.horizon" in run.data.tags["reason"] for run in runs)


def test_a_model_that_diverges_is_tagged_and_not_chosen_while_the_others_go_on(
    prefect_server: None, mlflow_folder: Path
) -> None:
    summary = train(
        recipe="diverging",
        models=["elman", "numpy_rnn"],
        series=SeriesSpec(wave="sine", points=120, stop=12.0, name="diverging"),
        window=WindowSpec(length=8),
        elman=ElmanSpec(learning_rate=10),
        numpy_rnn=NumpyRNNSpec(epochs=2),
    )
    tags = {name: TRACKER.client().get_run(model["run_id"]).data.tags for name, model in summary["models"].items()}
    assert "elman diverged in epoch" in tags["elman"]["diverged"]
    assert "--elman.learning_rate below 10 may help" in tags["elman"]["diverged"]
    assert "diverged" not in tags["numpy_rnn"]
    assert tags["elman"]["beats"] == "no baseline"
    assert summary["chosen"] == "numpy_rnn"
    assert not summary["registered"]["champion"]
    assert TRACKER.client().get_run(summary["parent_run_id"]).info.status == "FINISHED"
    assert models_worse_than_baselines(summary)[0] == "elman"
    summary["seconds"] |= {"start": 0.0, "total": 1.0}  # as the command does
    assert "\nWorse than every baseline: elman" in str(report_training(summary)[-1])

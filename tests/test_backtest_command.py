"""The command `tidecast backtest` as a user runs it: what it prints, writes, records and refuses."""

import contextlib
import io
import itertools
import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from flows.commands.app import run
from models.baselines import BASELINES
from models.metrics import rmse
from models.specs import COMBINED
from tasks.comparison import choose_model
from tests.test_bad_input import good, refused

HORIZON, ORIGINS = 12, 22  # a series; from every second hour of the last 54 that has 12 before the end
MODELS = ["gru", "rnn"]
COLUMNS = [*MODELS, "combined", *BASELINES]
INTERVALS = [f"{name}-{side}-80" for name in MODELS for side in ("lo", "hi")]


def loads() -> pd.DataFrame:
    """Return two noisy hourly waves with a daily season; the second is two days shorter and much higher."""
    random, tables = np.random.default_rng(0), []
    for name, points, level in (("north", 360, 20.0), ("south", 312, 500.0)):
        values = level + 5 * np.sin(np.arange(points) * np.pi / 12) + random.normal(0, 0.5, points)
        times = pd.date_range("2024-01-01", periods=points, freq="h")
        tables.append(pd.DataFrame({"place": name, "hour": times, "load": values}))
    return pd.concat(tables, ignore_index=True)


def backtest(line: str) -> str:
    """Run the command, which has to succeed; returns what it prints."""
    with contextlib.redirect_stdout(io.StringIO()) as screen, pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "120")  # so that no heading is wrapped
        assert run(["backtest", *line.split()]) == 0
    return screen.getvalue()


@pytest.fixture(scope="module")
def screen(prefect_server: None, mlflow_folder: Path) -> str:
    """Run one backtest of a user's file, twelve hours ahead with heads of six."""
    loads().to_csv("loads.csv", index=False)
    return backtest(
        "--series.path loads.csv --series.id place --series.time hour --series.value load --models gru,rnn "
        "--window.length 24 --window.horizon 6 --horizon 12 --test 54 --stride 2 --fit.epochs 3 --recurrent.hidden 8 "
        "--refit.every 11 --refit.epochs 1 --intervals.level 80 --intervals.recent 20 "
        "--json summary.json --output out.parquet"
    )


@pytest.fixture(scope="module")
def summary(screen: str) -> dict[str, Any]:
    return json.loads(Path("summary.json").read_text())


@pytest.fixture(scope="module")
def forecasts(screen: str) -> pd.DataFrame:
    return pd.read_parquet("out.parquet")


@pytest.fixture(scope="module")
def parent(summary: dict[str, Any]) -> Run:
    return MlflowClient().get_run(summary["parent_run_id"])


def artifact(run_id: str, path: str) -> Path:
    return Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=path))


def test_the_screen_shows_every_model_and_baseline_and_the_places_of_the_files(
    screen: str, summary: dict[str, Any]
) -> None:
    for name in (*MODELS, *BASELINES):
        assert name in screen
    assert f"{summary['chosen']} *" in screen
    for column in ("val MASE", "RMSE", "sMAPE", "cover 80 %"):
        assert column in screen
    assert "MAE" not in screen
    for model in summary["models"].values():
        assert f"{100 * model['metrics']['test_coverage_80']:.1f} %" in screen
        assert "test_mae" in model["metrics"]
    assert "12 steps ahead from 44 origins of 2 series" in " ".join(screen.split())
    assert "Forecasts written to out.parquet" in screen
    folder = next(line.split(": ")[1] for line in screen.splitlines() if line.startswith("Forecasts, scores"))
    assert Path(folder, "backtest", "forecasts.parquet").is_file()


def test_the_summary_for_scripts_is_complete(summary: dict[str, Any]) -> None:
    assert (summary["recipe"], summary["experiment"]) == ("custom", "loads backtests")
    assert (summary["series"], summary["horizon"], summary["origins"]) == (2, HORIZON, 2 * ORIGINS)
    assert set(summary["models"]) == {*MODELS, COMBINED}
    assert set(summary["baselines"]) == set(BASELINES)
    assert set(summary["seconds"]) == {"start", "train", "forecast", "total"}
    assert summary["seconds"]["total"] >= summary["seconds"]["start"] > 0
    for model in summary["models"].values():
        assert set(model) == {"run_id", "seconds", "metrics"}
        assert {"val_mase", "test_rmse", "test_mase", "test_coverage_80", "test_width_80"} <= set(model["metrics"])
    seconds = sum(model["seconds"] for model in summary["models"].values())
    assert seconds == pytest.approx(summary["seconds"]["train"] + summary["seconds"]["forecast"])


def best_model(summary: dict[str, Any]) -> str:
    return choose_model({name: model["metrics"] for name, model in summary["models"].items()}, "val_mase")


def test_the_best_of_all_is_chosen_by_its_validation_mase(summary: dict[str, Any]) -> None:
    scores = {name: model["metrics"]["val_mase"] for name, model in summary["models"].items()}
    baselines = {name: metrics["val_mase"] for name, metrics in summary["baselines"].items()}
    assert summary["chosen_by"] == "val_mase"
    assert min(baselines.values()) < min(scores.values())  # three epochs are few
    assert summary["chosen"] == summary["better_baseline"] == min(baselines, key=lambda name: baselines[name])
    mase = summary["models"][best_model(summary)]["metrics"]["test_mase"]
    expected = 1 - mase / summary["baselines"]["seasonal_naive"]["test_mase"]
    assert summary["skill"]["skill_seasonal_naive_test_mase"] == pytest.approx(expected)


def test_the_forecasts_are_written_as_a_long_table(forecasts: pd.DataFrame) -> None:
    bounds = [[name, f"{name}-lo-80", f"{name}-hi-80"] for name in (*MODELS, COMBINED)]
    assert list(forecasts) == ["unique_id", "cutoff", "ds", "y", *itertools.chain(*bounds), *BASELINES]
    assert forecasts.groupby("unique_id").size().to_dict() == dict.fromkeys(("north", "south"), ORIGINS * HORIZON)
    cutoffs = forecasts.groupby("unique_id")["cutoff"]
    assert cutoffs.min().to_dict() == {  # the hour before the last 54
        "north": pd.Timestamp("2024-01-01") + pd.Timedelta(360 - 55, "h"),
        "south": pd.Timestamp("2024-01-01") + pd.Timedelta(312 - 55, "h"),
    }
    hours = (forecasts["ds"] - forecasts["cutoff"]).dt.total_seconds() / 3600
    assert hours.tolist() == [*range(1, HORIZON + 1)] * (2 * ORIGINS)
    for name in MODELS:
        assert (forecasts[f"{name}-lo-80"] <= forecasts[name]).all()
        assert (forecasts[name] <= forecasts[f"{name}-hi-80"]).all()


def test_actuals_and_baselines_are_those_of_the_file(forecasts: pd.DataFrame) -> None:
    actual = loads().rename(columns={"place": "unique_id", "hour": "ds"})
    merged = forecasts.merge(actual, on=["unique_id", "ds"])
    assert len(merged) == len(forecasts)
    np.testing.assert_allclose(merged["y"], merged["load"])
    last = actual.rename(columns={"ds": "cutoff", "load": "last"})
    np.testing.assert_allclose(forecasts["last_value"], forecasts.merge(last, on=["unique_id", "cutoff"])["last"])
    day = actual.assign(ds=actual["ds"] + pd.Timedelta(24, "h")).rename(columns={"load": "before"})
    np.testing.assert_allclose(forecasts["seasonal_naive"], forecasts.merge(day, on=["unique_id", "ds"])["before"])


def test_scores_can_be_computed_again_from_the_forecasts(forecasts: pd.DataFrame, summary: dict[str, Any]) -> None:
    scores = {name: model["metrics"] for name, model in summary["models"].items()} | summary["baselines"]
    for name, metrics in scores.items():
        assert rmse(forecasts["y"].to_numpy(), forecasts[name].to_numpy()) == pytest.approx(metrics["test_rmse"])
    for name in (*MODELS, COMBINED):
        covered = forecasts["y"].between(forecasts[f"{name}-lo-80"], forecasts[f"{name}-hi-80"]).mean()
        assert covered == pytest.approx(scores[name]["test_coverage_80"])


def test_the_parent_run_keeps_scores_plots_and_forecasts(
    parent: Run, summary: dict[str, Any], forecasts: pd.DataFrame
) -> None:
    client, run_id = MlflowClient(), parent.info.run_id
    assert parent.info.status == "FINISHED"
    assert client.get_experiment(parent.info.experiment_id).name == summary["experiment"]
    assert (parent.data.tags["chosen"], parent.data.tags["chosen_by"]) == (summary["chosen"], "val_mase")
    note = parent.data.tags["mlflow.note.content"]
    assert f"| {summary['chosen']} * |" in note
    metrics = summary["models"][best_model(summary)]["metrics"]
    assert f"| {100 * metrics['test_coverage_80']:.1f} % |" in note
    assert (parent.data.params["horizon"], parent.data.params["refit.every"]) == ("12", "11")
    expected = (
        metrics | summary["skill"] | {"baseline_last_value_test_mase": summary["baselines"]["last_value"]["test_mase"]}
    )
    assert {name: parent.data.metrics[name] for name in expected} == pytest.approx(expected)
    paths = {file.path for folder in ("plots", "backtest") for file in client.list_artifacts(run_id, folder)}
    plots = {f"plots/{name}.png" for name in ("error_by_step", "forecasts", "worst_series")}
    tables = {f"backtest/{name}.parquet" for name in ("forecasts", "scores_by_series", "scores_by_step")}
    assert paths == plots | tables
    pd.testing.assert_frame_equal(pd.read_parquet(artifact(run_id, "backtest/forecasts.parquet")), forecasts)


def test_scores_are_kept_by_series_and_by_step(parent: Run, summary: dict[str, Any]) -> None:
    by_series = pd.read_parquet(artifact(parent.info.run_id, "backtest/scores_by_series.parquet"))
    by_step = pd.read_parquet(artifact(parent.info.run_id, "backtest/scores_by_step.parquet"))
    assert len(by_series) == 2 * len(COLUMNS)
    assert len(by_step) == HORIZON * len(COLUMNS)
    mase = by_series.groupby("model")["mase"].mean()
    assert mase["gru"] == pytest.approx(summary["models"]["gru"]["metrics"]["test_mase"])
    assert set(by_series["unique_id"]) == {"north", "south"}
    assert sorted(set(by_step["step"])) == [*range(1, HORIZON + 1)]


def test_every_model_has_a_child_run(parent: Run, summary: dict[str, Any]) -> None:
    for name, model in summary["models"].items():
        run = MlflowClient().get_run(model["run_id"])
        assert run.info.status == "FINISHED"
        assert run.info.run_name == name
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.params["window.horizon"] == "6"
        assert {score: run.data.metrics[score] for score in model["metrics"]} == pytest.approx(model["metrics"])
        epochs = MlflowClient().get_metric_history(model["run_id"], "train_loss")
        assert [metric.step for metric in epochs] == ([] if name == COMBINED else [1, 2, 3])


def test_a_recipe_of_train_can_be_backtested(screen: str) -> None:
    shown = backtest("sine --models gru --fit.epochs 2 --split.validation 0 --output sine.csv --json sine.json")
    summary, table = json.loads(Path("sine.json").read_text()), pd.read_csv("sine.csv")
    assert (summary["recipe"], summary["experiment"]) == ("sine", "sine backtests")
    assert (summary["chosen"], summary["chosen_by"], summary["horizon"]) == ("gru", None, 1)
    assert "is the first model" in " ".join(shown.split())
    assert list(table) == ["unique_id", "cutoff", "ds", "y", "gru", *BASELINES]  # no validation, no intervals
    assert table["cutoff"].tolist() == [*range(849, 999)]  # the last 150 of 1,000 points, one step ahead
    assert table["ds"].tolist() == [*range(850, 1000)]
    np.testing.assert_allclose(table["y"], np.sin(table["ds"] * 100 / 999), atol=1e-12)
    plots = {file.path for file in MlflowClient().list_artifacts(summary["parent_run_id"], "plots")}
    assert plots == {"plots/error_by_step.png", "plots/forecasts.png"}


def test_series_that_repeat_exactly_have_no_mase_which_is_null_in_json(screen: str) -> None:
    wave = np.tile([1.0, 2, 3, 4, 3, 2, 1, 0], 10)
    tables = [pd.DataFrame({"unique_id": f"s{n}", "ds": np.arange(80), "y": wave + 10 * n}) for n in range(2)]
    pd.concat(tables).to_csv("exact.csv", index=False)
    shown = backtest(
        "--series.path exact.csv --models gru,rnn --season 8 --window.length 8 --split.validation 16 --test 16 "
        "--fit.epochs 2 --recurrent.hidden 4 --json exact.json"
    )

    def refuse(word: str) -> float:
        raise AssertionError(f"{word} is no JSON")

    summary = json.loads(Path("exact.json").read_text(), parse_constant=refuse)
    assert (summary["chosen"], summary["chosen_by"]) == ("gru", None)
    metrics = [model["metrics"] for model in summary["models"].values()] + list(summary["baselines"].values())
    assert [(scores["val_mase"], scores["test_mase"]) for scores in metrics] == [(None, None)] * len(COLUMNS)
    assert all(scores["test_rmse"] > 0 for scores in metrics[:2])
    assert summary["baselines"]["seasonal_naive"]["test_rmse"] == 0
    assert "is the first model" in " ".join(shown.split())
    plots = {file.path for file in MlflowClient().list_artifacts(summary["parent_run_id"], "plots")}
    assert plots == {"plots/error_by_step.png", "plots/forecasts.png"}
    assert MlflowClient().get_run(summary["parent_run_id"]).data.tags["chosen_by"] == "order"


OWN = "--series.path f.csv"
MISTAKES: dict[str, list[str]] = {
    # a command line: what the line must say
    "etth1": ["no series is given", "--series.path"],
    f"{OWN} --series.id place": ["'place'", "--series.id"],
    f"{OWN} --series.value load": ["'load'", "--series.value"],
    f"{OWN} --window.transform log": ["has no logarithm", "--window.transform"],
    f"{OWN} --test 4 --window.horizon 5": ["test part has 4 points", "--window.horizon"],
    f"{OWN} --test 4 --horizon 5": ["test part has 4 points", "5 to forecast", "--window.horizon"],
    f"{OWN} --test 79": ["80 points", "test part of 79", "--split.test"],
    f"{OWN} --split.test 0": ["no room for 7 steps", "make the test part larger"],
    f"{OWN} --horizon 60": ["series 'y'", "no room for 60 steps ahead", "test part", "--horizon", "--window.short"],
    f"{OWN} --horizon 0": ["--horizon", "'0'"],
    f"{OWN} --stride 0": ["--stride", "'0'"],
    f"{OWN} --test 0": ["--test", "'0'"],
    f"{OWN} --refit.every -1": ["--refit.every", "'-1'"],
    f"{OWN} --intervals.level 100": ["--intervals.level", "'100'"],
    f"{OWN} --intervals.recent 9": ["--intervals.recent", "'9'"],
    f"{OWN} --output out.txt": ["--output out.txt", ".parquet or .csv"],
    f"{OWN} --output no/such/out.csv": ["--output no/such/out.csv", "no folder no/such"],
    f"{OWN} --json .": ["--json .", "is a folder"],
    f"{OWN} --models elman --window.horizon 2": ["elman", "--window.horizon"],
    f"{OWN} --free-run first": ["--free-run"],
    "elman-sine": ["no room for 1 step", "make the test part larger"],
    "etth": ["'etth'", "etth1", "--series.path"],
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_refused_in_one_clear_line_before_anything_is_written(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good().to_csv(tmp_path / "f.csv", index=False)
    refused(["backtest", *line.split()], MISTAKES[line], tmp_path, monkeypatch, capsys)

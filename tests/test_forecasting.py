"""A champion's forecasts and their scores, with real flows, registry and files."""

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.pyfunc.scoring_server import invocations
from mlflow.tracking import MlflowClient

from flows.commands.app import run
from flows.forecast import forecast
from flows.monitor import monitor
from flows.train import train
from models.data.covariates import NO_COVARIATES, CovariateNames
from models.data.panel import panel_from_frame
from models.errors import InputError
from models.specs import FitSpec, GateSpec, RecurrentSpec, SeriesSpec, SplitSpec, WindowSpec, change_source
from tasks.data.series import Series
from tasks.forecasting import refuse_missing_rows, source_of, steps_ahead
from tasks.tracking.registry import Version, find_version

HOURS = 400


def loads(hours: int) -> pd.DataFrame:
    """Return two noisy daily waves."""
    random, tables = np.random.default_rng(0), []
    for name, level in (("north", 20.0), ("south", 500.0)):
        values = level + 5 * np.sin(np.arange(1000) * np.pi / 12) + random.normal(0, 1, 1000)
        times = pd.date_range("2024-01-01", periods=1000, freq="h")
        tables.append(pd.DataFrame({"place": name, "hour": times, "load": values}).head(hours))
    return pd.concat(tables, ignore_index=True)


@pytest.fixture(scope="module")
def trained(prefect_server: None, mlflow_folder: Path) -> dict[str, Any]:
    """Train a champion of the series in `loads.csv`, to which rows are added later."""
    loads(HOURS).to_csv("loads.csv", index=False)
    return train(
        models=["gru"],
        series=SeriesSpec(path="loads.csv", id="place", time="hour", value="load"),
        window=WindowSpec(length=48),
        split=SplitSpec(validation=60, test=60),
        recurrent=RecurrentSpec(hidden=12),
        fit=FitSpec(epochs=60, learning_rate=0.01),
        gate=GateSpec(margin=0.0),
    )


@pytest.fixture(scope="module")
def made(trained: dict[str, Any]) -> dict[str, Any]:
    return forecast(horizon=30, model="loads", output="out.csv")


def test_the_chosen_model_is_registered_under_the_series_name(trained: dict[str, Any]) -> None:
    assert trained["registered"]["name"] == "loads"
    assert trained["registered"]["champion"], trained["registered"]["reason"]
    version = find_version("loads")
    assert version.run_id == trained["models"]["gru"]["run_id"]
    parent = MlflowClient().get_run(trained["parent_run_id"])
    assert parent.data.tags["gate"] == "promoted"
    assert parent.data.metrics["gate/challenger_test_mase"] < parent.data.metrics["gate/seasonal_naive_test_mase"]
    assert "| gru * |" in parent.data.tags["mlflow.note.content"]


def test_a_forecast_begins_after_the_last_row_of_every_series(made: dict[str, Any]) -> None:
    table = pd.read_csv("out.csv", parse_dates=["cutoff", "ds"])
    models = ["gru", "gru-lo-90", "gru-hi-90", "last_value", "seasonal_naive"]
    assert list(table.columns) == ["unique_id", "cutoff", "ds", *models]
    assert table.groupby("unique_id").size().to_dict() == {"north": 30, "south": 30}
    last = pd.Timestamp("2024-01-01") + pd.Timedelta(HOURS - 1, "h")
    assert (table["cutoff"] == last).all()
    assert table["ds"].min() == last + pd.Timedelta(1, "h")
    south = loads(HOURS).query("place == 'south'")["load"].to_numpy()
    southern = table[table["unique_id"] == "south"]
    np.testing.assert_allclose(southern["last_value"], south[-1])
    np.testing.assert_allclose(southern["seasonal_naive"][:24], south[-24:])
    assert southern["gru"].between(490, 510).all()


def test_a_forecast_has_intervals_for_a_season_that_hold_the_actual_values(made: dict[str, Any]) -> None:
    table = pd.read_csv("out.csv", parse_dates=["ds"])
    bounded = table[table["gru-lo-90"].notna()]
    assert bounded.groupby("unique_id").size().to_dict() == {"north": 24, "south": 24}
    actual = loads(HOURS + 24).rename(columns={"place": "unique_id", "hour": "ds"})
    both = bounded.merge(actual, on=["unique_id", "ds"])
    assert len(both) == 48
    assert both["load"].between(both["gru-lo-90"], both["gru-hi-90"]).mean() > 0.8
    assert both["gru"].to_numpy() == pytest.approx((both["gru-lo-90"] + both["gru-hi-90"]) / 2)
    assert (both["gru-hi-90"] - both["gru-lo-90"]).max() < 8  # noise of a deviation of 1 reaches over 3.3


def test_a_forecast_is_recorded_with_its_version_and_plot(made: dict[str, Any]) -> None:
    client = MlflowClient()
    run_ = client.get_run(made["run_id"])
    assert client.get_experiment(run_.info.experiment_id).name == "loads forecasts"
    assert {"registered": "loads", "version": "1", "model": "gru"}.items() <= run_.data.tags.items()
    assert run_.data.params["horizon"] == "30"
    kept = pd.read_parquet(client.download_artifacts(made["run_id"], "forecast/forecast.parquet"))
    pd.testing.assert_frame_equal(kept, pd.read_csv("out.csv", parse_dates=["cutoff", "ds"]), check_dtype=False)
    assert [file.path for file in client.list_artifacts(made["run_id"], "plots")] == ["plots/forecast.png"]


def test_a_forecast_is_a_season_long_by_default(trained: dict[str, Any]) -> None:
    assert forecast(model="loads")["rows"] == 2 * 24


def test_the_champion_forecasts_from_json_with_times_as_text(trained: dict[str, Any]) -> None:
    """Call what MLflow's server calls for a request; tests/test_docs.py sends one over HTTP."""
    model = mlflow.pyfunc.load_model("models:/loads@champion")
    rows = loads(60).rename(columns={"place": "unique_id", "hour": "ds", "load": "y"}).astype({"ds": str})
    request = {"dataframe_records": rows.to_dict("records"), "params": {"horizon": 3}}
    response = invocations(json.dumps(request), "application/json", model, model.metadata.get_input_schema())
    predictions = json.loads(response.response)["predictions"]
    assert [row["ds"] for row in predictions[:3]] == [f"2024-01-03T{hour}:00:00" for hour in (12, 13, 14)]
    assert all(490 < row["gru"] < 510 for row in predictions if row["unique_id"] == "south")


def test_a_forecast_is_written_to_any_url_of_fsspec(trained: dict[str, Any]) -> None:
    import fsspec

    forecast(horizon=2, model="loads/1", output="memory://forecasts/out.parquet")
    with fsspec.open("memory://forecasts/out.parquet", "rb") as file:
        assert len(pd.read_parquet(file)) == 4


def test_monitor_scores_actual_values_and_calls_the_health_unknown_before_there_are_any(made: dict[str, Any]) -> None:
    assert monitor(model="loads")["health"] == "unknown"
    loads(HOURS + 10).to_csv("loads.csv", index=False)
    summary = monitor(model="loads", bound=-10.0)
    assert summary["health"] == "good"
    run_ = MlflowClient().get_run(summary["run_id"])
    assert run_.data.tags["health"] == "good"
    kept = pd.read_csv("out.csv", parse_dates=["ds"])
    actual = loads(HOURS + 10).rename(columns={"place": "unique_id", "hour": "ds"})
    both = kept.merge(actual, on=["unique_id", "ds"])
    assert len(both) == 20
    assert run_.data.metrics["rmse"] == pytest.approx(np.sqrt(((both["gru"] - both["load"]) ** 2).mean()))
    assert [file.path for file in MlflowClient().list_artifacts(summary["run_id"], "plots")] == ["plots/scores.png"]


def test_the_series_is_read_from_the_source_of_the_training_with_the_given_changes() -> None:
    series = {"path": "/a.csv", "time": "day", "value": "load"}
    version = Version("a", 1, "0", {"trained_on": json.dumps({"format": 3, "step": "D", "series": series})})
    assert source_of(version, SeriesSpec()) == SeriesSpec(path="/a.csv", time="day", value="load", step="D")
    assert source_of(version, SeriesSpec(path="b.csv")) == SeriesSpec(path="b.csv", time="day", value="load", step="D")
    assert source_of(version, SeriesSpec(step="h")) == SeriesSpec(path="/a.csv", time="day", value="load", step="h")
    assert source_of(version, SeriesSpec(wave="sine")) == SeriesSpec(wave="sine")


def test_a_file_takes_the_place_of_a_wave_and_the_reverse() -> None:
    wave, file = {"wave": "sine", "points": 50, "name": "w"}, {"path": "a.csv", "time": "day"}
    assert change_source(wave, {"path": "b.csv"}) == {"path": "b.csv"}
    assert change_source(file, {"wave": "cosine"}) == {"wave": "cosine"}
    assert change_source(wave, {"points": 70}) == {**wave, "points": 70}


# Horizon


def version(**changes: Any) -> Version:
    """A version whose windows are 3 values long and whose horizon is 2, of series with a season of 7."""
    trained_on = {"format": 3, "step": "D", "season": 7, "window_length": 3, "horizon": 2, "padded": False} | changes
    return Version("days", 1, "0", {"trained_on": json.dumps(trained_on)})


def days(names: CovariateNames = NO_COVARIATES, ahead: tuple[int, int] = (3, 2), values: int = 4) -> Series:
    """Return series "a" and "b" of so many days, with further rows `ahead` that hold covariates only."""
    tables = [
        pd.DataFrame({"unique_id": name, "ds": pd.date_range("2024-01-01", periods=values + extra, freq="D")})
        for name, extra in zip("ab", ahead, strict=True)
    ]
    frame = pd.concat(tables, ignore_index=True)
    day = frame["ds"].dt.day
    frame = frame.assign(y=day.where(day <= values).astype(float), sale=day % 2.0, size=1.0)
    return Series("days", panel_from_frame(frame, "last", names)[0], (), "", "y", "s")


SALE, SIZE = CovariateNames(known=("sale",)), CovariateNames(static=("size",))


def test_a_version_knows_the_window_and_horizon_of_its_model_and_whether_series_were_padded(
    trained: dict[str, Any],
) -> None:
    expected = {"format": 3, "step": "h", "season": 24, "window_length": 48, "horizon": 1, "padded": False}
    assert expected.items() <= find_version("loads").trained_on.items()


@pytest.mark.parametrize("old", [{"season": 7, "reads": 3, "answers": 2}, {"format": 2, "season": 7}])
def test_a_version_that_an_earlier_version_of_tidecast_registered_is_refused_in_one_line(old: dict[str, int]) -> None:
    registered = Version("co2", 3, "0", {"trained_on": json.dumps(old)})
    for use in (lambda: registered.trained_on, lambda: source_of(registered, SeriesSpec())):
        with pytest.raises(InputError) as refused:
            use()
        assert str(refused.value) == (
            "co2/3 was registered by an earlier version of Tidecast; name another version, or take the alias champion "
            "from it in MLflow and train again"
        )


def test_the_default_horizon_is_a_season_or_that_of_the_model() -> None:
    plain = days(ahead=(0, 0)).panel
    assert steps_ahead(version(), plain, None) == 7
    assert steps_ahead(version(horizon=12), plain, None) == 12
    assert steps_ahead(version(horizon=12), plain, 5) == 5


def test_the_default_horizon_is_as_far_as_covariates_are_known_ahead_in_every_series() -> None:
    assert steps_ahead(version(), days(SALE).panel, None) == 2
    assert steps_ahead(version(), days(SALE, (9, 20)).panel, None) == 9
    assert steps_ahead(version(), days(SALE).panel, 3) == 3


def test_past_and_static_covariates_do_not_shorten_a_forecast() -> None:
    for names in (SIZE, CovariateNames(past=("sale",))):
        series = days(names, (0, 0))
        assert steps_ahead(version(), series.panel, None) == 7
        refuse_missing_rows(version(), series, None)


@pytest.mark.parametrize(
    ("ahead", "horizon", "line"),
    [
        ((3, 2), 3, "series 'b' has no 'sale' at 2024-01-07.*give rows up to 2024-01-07"),
        ((3, 2), 4, "series 'a' has no 'sale' at 2024-01-08.*give rows up to 2024-01-08"),
        ((3, 0), None, "series 'a' has no 'sale' at 2024-01-08.*give rows up to 2024-01-11"),  # a season then
        ((0, 0), 1, "series 'a' has no 'sale' at 2024-01-05.*without a value but with 'sale'$"),
    ],
)
def test_covariates_that_are_not_known_far_enough_are_named(
    ahead: tuple[int, int], horizon: int | None, line: str
) -> None:
    with pytest.raises(InputError, match=line):
        refuse_missing_rows(version(), days(SALE, ahead), horizon)


def test_covariates_that_are_known_far_enough_are_accepted() -> None:
    refuse_missing_rows(version(), days(SALE), None)
    refuse_missing_rows(version(), days(SALE), 2)


def test_a_series_shorter_than_the_window_is_refused_unless_the_model_pads() -> None:
    series = days(ahead=(0, 0), values=2)
    with pytest.raises(InputError, match=r"series 'a' has 2 values, but the model reads the last 3"):
        refuse_missing_rows(version(), series, None)
    refuse_missing_rows(version(padded=True), series, None)


def test_the_command_forecasts_as_far_as_covariates_are_known_and_says_where_they_are_missing(
    trained: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    frame = loads(105)
    frame["sale"] = np.arange(len(frame)) % 3.0
    frame.loc[frame.groupby("place").cumcount() >= 100, "load"] = np.nan
    frame.to_csv("sales.csv", index=False)
    train(
        models=["gru"],
        series=SeriesSpec(path="sales.csv", id="place", time="hour", value="load", known=("sale",)),
        window=WindowSpec(length=6, horizon=2),
        split=SplitSpec(validation=12, test=12),
        recurrent=RecurrentSpec(hidden=4),
        fit=FitSpec(epochs=1),
    )
    capsys.readouterr()
    assert run(["forecast", "--model", "sales/1", "--output", "sales_out.csv"]) == 0
    table = pd.read_csv("sales_out.csv")
    assert table.groupby("unique_id").size().to_dict() == {"north": 5, "south": 5}
    capsys.readouterr()
    assert run(["forecast", "--model", "sales/1", "--horizon", "6"]) == 2
    (message,) = capsys.readouterr().err.splitlines()
    assert message.startswith("tidecast: series 'north' has no 'sale' at 2024-01-05")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("forecast --horizon 0", "--horizon"),
        ("forecast --horizon 5 --model tides", "'tides'; there is loads"),
        ("forecast --horizon 5 --output out.xlsx", ".parquet or .csv"),
        ("forecast --horizon 5 --output nowhere/out.csv", "there is no folder nowhere"),
        ("forecast --horizon 5 --series.path short.csv", "has 20 values, but the model reads the last 48"),
        ("forecast --horizon 5 --series.path gone.csv", "there is no file gone.csv"),
        ("forecast tango --horizon 5", "unknown recipe 'tango'"),
        ("monitor --model tides", "'tides'; there is loads"),
        ("monitor --bound 1", "--bound"),
    ],
)
def test_a_mistake_costs_one_line_and_no_flow_run(
    line: str, reason: str, made: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    loads(20).to_csv("short.csv", index=False)
    assert run(line.split()) == 2
    (message,) = capsys.readouterr().err.splitlines()
    assert message.startswith("tidecast: ")
    assert reason in message


@pytest.mark.parametrize("line", ["forecast --horizon 5", "monitor"])
def test_a_folder_without_runs_is_left_as_it_is(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert run(line.split()) == 2
    assert "no mlflow.db" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_cannot_be_written_is_an_error_that_names_it(trained: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"--output nowhere/out\.csv cannot be written"):
        forecast(horizon=2, model="loads", output="nowhere/out.csv")

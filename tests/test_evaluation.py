"""Scores, the choice of a model, and intervals: none uses values of the future."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from models.baselines import SeasonalNaive
from models.data.panel import one_series
from models.data.windows import actual_values
from models.forecaster import Forecaster, seasonal_change_scales
from models.intervals import Intervals
from models.metrics import coverage, rmse, skill
from models.specs import FitSpec, ModelSpec, RecurrentSpec, SplitSpec, WindowSpec
from tasks.backtest.planning import plan_evaluation
from tasks.comparison import Choice, choose, choose_model, describe_better
from tasks.data.preparation import Dataset, prepare_data
from tasks.data.series import Series
from tasks.evaluation import evaluate, free_run_scores
from tasks.training import build_forecaster, calibrate


def test_rmse_is_the_root_of_the_mean_square() -> None:
    assert rmse(np.array([1.0, 2.0]), np.array([4.0, 6.0])) == pytest.approx(np.sqrt((9 + 16) / 2))


def test_skill_is_the_share_of_error_taken_away() -> None:
    assert skill(1.0, 4.0) == 0.75
    assert skill(4.0, 4.0) == 0
    assert skill(8.0, 4.0) == -1


def test_a_free_run_is_scored_over_the_series_that_are_known_for_long_enough() -> None:
    actual = np.zeros((2, 120))
    actual[0, 99:] = np.nan  # one point short of a hundred
    path = np.stack([np.full(120, 5.0), np.full(120, 3.0)])
    assert free_run_scores(actual, path) == {100: 3.0}
    assert free_run_scores(actual[:1], path[:1]) == {}


def test_a_gap_within_a_free_run_is_passed_over() -> None:
    actual, path = np.zeros((1, 1000)), np.ones((1, 1000))
    actual[0, 40:60], path[0, 40:60] = np.nan, 100.0
    assert free_run_scores(actual, path) == {100: 1.0, 1000: 1.0}


def test_the_model_is_chosen_by_validation_whatever_the_test_score_is() -> None:
    scores = {"rnn": {"val_rmse": 2.0, "test_rmse": 1.0}, "gru": {"val_rmse": 1.0, "test_rmse": 9.0}}
    assert choose_model(scores, "val_rmse") == "gru"
    assert choose_model({"rnn": {"train_rmse": 1.0}, "gru": {"train_rmse": 2.0}}, "train_rmse") == "rnn"
    assert choose_model({"rnn": {"val_rmse": np.nan}, "gru": {"val_rmse": 2.0}}, "val_rmse") == "gru"


@pytest.mark.parametrize(("gru", "chosen"), [(0.99, "combined"), (0.97, "gru"), (np.nan, "combined")])
def test_the_combination_is_chosen_unless_a_model_is_better_by_two_percent(gru: float, chosen: str) -> None:
    scores = {"rnn": {"val_rmse": 2.0}, "gru": {"val_rmse": gru}, "combined": {"val_rmse": 1.0}}
    assert choose_model(scores, "val_rmse") == chosen


def test_a_baseline_that_is_better_than_every_model_is_named() -> None:
    models = {"rnn": {"val_rmse": 3.0, "val_mase": 1.0}, "gru": {"val_rmse": 2.0, "val_mase": 1.5}}
    baselines = {"last_value": {"val_rmse": 1.0, "val_mase": 1.1}, "linear_ar": {"val_rmse": 1.9, "val_mase": 1.2}}
    assert choose(models, baselines, 1) == Choice("gru", "val_rmse", "last_value")
    assert choose(models, baselines, 5) == Choice("rnn", "val_mase", None)  # the series' scales may differ
    said = describe_better(choose(models, baselines, 1), models | baselines)
    assert said == "last_value is better than every model on the validation part: RMSE 1.00, the best model 2.00."
    assert not describe_better(choose(models, baselines, 5), models | baselines)
    diverged = {"rnn": {"val_rmse": np.nan, "val_mase": np.nan}}
    assert choose(diverged, baselines, 1) == Choice("rnn", "val_rmse", "last_value")
    assert "no model has any" in describe_better(choose(diverged, baselines, 1), diverged | baselines)
    assert choose(diverged, {"last_value": {}}, 1) == Choice("rnn", None, None)


def test_a_gap_in_the_actual_values_does_not_shorten_a_free_run() -> None:
    values = np.sin(np.arange(400) / 5)
    panel = one_series("s", values)
    panel.observed[350] = False
    series = Series("s", panel, (), "", "s", "s")
    data = prepare_data.fn(series, WindowSpec(length=10), SplitSpec(test=110), None, "test")
    evaluation = evaluate.fn("last_value", SeasonalNaive(1, 1), plan_evaluation.fn(data))
    assert evaluation.actual.shape == evaluation.free_run.shape == (1, 110)
    assert np.isnan(evaluation.actual[0]).tolist() == [n == 60 for n in range(110)]
    observed = np.arange(100) != 60
    expected = rmse(values[290:390][observed], np.full(99, values[289]))
    assert evaluation.scores["free_run_rmse_100"] == pytest.approx(expected)


# Intervals


def noisy(points: int, validation: int, horizon: int = 3) -> Dataset:
    """Return a sine of 21 points a turn with noise of deviation 0.2; at most the last 400 points are tested."""
    values = np.sin(np.arange(points) * 0.3) + np.random.default_rng(0).normal(0, 0.2, points)
    series = Series("s", one_series("s", values), (), "", "s", "s")
    split = SplitSpec(validation=validation, test=min(400, points // 4))
    return prepare_data.fn(series, WindowSpec(length=12, horizon=horizon), split, 21, "test")


@pytest.mark.parametrize("level", [50, 90])
def test_intervals_hold_about_their_level_of_a_noisy_sine_at_every_step(level: int) -> None:
    data = noisy(1600, 400)
    spec = ModelSpec(
        model="gru",
        window=data.window,
        season=data.season,
        recurrent=RecurrentSpec(hidden=6),
        fit=FitSpec(epochs=8, learning_rate=0.02),
    )
    forecaster = build_forecaster(spec, data)
    scaled = forecaster.scaling.scale(data.panel, forecaster.network.dtype)
    for _ in forecaster.network.fit(scaled, data.origins["train"], data.origins["val"]):
        pass
    intervals = calibrate(forecaster, data, level, 5)
    assert intervals is not None
    assert intervals.level == level
    assert len(intervals.half_widths) == 5
    origins = data.origins["test"]
    unit = seasonal_change_scales(data.panel, data.split.train, data.season).repeat(len(origins))
    low, high = intervals.around(forecaster.extend(data.panel, 5, origins), unit)
    for step in range(5):
        actual = actual_values(data.panel, origins, 5)[:, step]
        assert coverage(actual, low[:, step], high[:, step]) == pytest.approx(level / 100, abs=0.07)


def test_intervals_come_from_errors_within_the_validation_part_and_need_ten_a_step() -> None:
    data = noisy(80, 12)
    forecaster = build_forecaster(ModelSpec(model="gru", window=data.window, season=data.season), data)
    intervals = calibrate(forecaster, data, 90, 6)
    assert intervals is not None
    assert np.isnan(intervals.half_widths).tolist() == [False] * 3 + [True] * 3  # 12 errors one step ahead, 11, 10, 9
    spoilt = data.panel.values.copy()
    spoilt[data.split.validation[0] :] = 1e6
    series = replace(data.series, panel=data.panel.with_values(spoilt))
    again = calibrate(forecaster, replace(data, series=series), 90, 6)
    assert again is not None
    np.testing.assert_array_equal(again.half_widths, intervals.half_widths)


def test_intervals_end_with_the_validation_part_and_need_ten_errors_at_some_step() -> None:
    for validation, expected in ((12, 12), (10, 10), (9, None)):
        data = noisy(80, validation)
        forecaster = build_forecaster(ModelSpec(model="gru", window=data.window, season=data.season), data)
        intervals = calibrate(forecaster, data, 90, 20)
        assert (intervals and len(intervals.half_widths)) == expected


def test_without_a_validation_part_there_is_no_interval() -> None:
    data = noisy(80, 0)
    assert calibrate(build_forecaster(ModelSpec(model="gru", window=data.window), data), data, 90, 3) is None


def rows(name: str, values: np.ndarray) -> pd.DataFrame:
    """Return a table of one series at the times 0, 1, ..."""
    return pd.DataFrame({"unique_id": name, "ds": np.arange(len(values)), "y": values})


def widths(forecaster: Forecaster, table: pd.DataFrame) -> list[float]:
    """Return the widths of the intervals of the next three steps."""
    table = forecaster.forecast(table, 3)
    return (table["gru-hi-90"] - table["gru-lo-90"]).tolist()


def test_intervals_of_a_trained_series_are_as_wide_whatever_its_latest_rows_are() -> None:
    data = noisy(80, 12)
    forecaster = build_forecaster(ModelSpec(model="gru", window=data.window, season=data.season), data)
    (unit,) = seasonal_change_scales(data.panel, data.split.train, 21)
    assert forecaster.interval_scales == {"s": unit}  # 48 points are trained on
    changes = np.abs(data.panel.values[21:48] - data.panel.values[:27])
    assert unit == pytest.approx(changes.mean())
    forecaster.intervals = Intervals(90, np.array([1.0, 2.0, 3.0]))
    for points in (12, 30, 80):
        expected = widths(forecaster, rows("s", data.panel.values[-points:]))
        assert expected == pytest.approx([2 * unit, 4 * unit, 6 * unit])
        assert widths(forecaster, rows("s", 100 * data.panel.values[-points:])) == pytest.approx(expected)


def test_intervals_of_an_unknown_series_have_the_scale_of_its_rows() -> None:
    data = noisy(80, 12)
    forecaster = build_forecaster(ModelSpec(model="gru", window=data.window, season=data.season), data)
    forecaster.intervals = Intervals(90, np.array([1.0, 2.0, 3.0]))
    # A ramp changes by 21 in a season of 21 points, and where it is no longer than that, by 1 from point to point.
    for points, unit in ((30, 21), (20, 1)):
        assert widths(forecaster, rows("new", np.arange(float(points)))) == pytest.approx(
            [2 * unit, 4 * unit, 6 * unit]
        )

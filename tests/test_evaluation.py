"""Scores: pooled over what is known, and chosen on validation alone."""

import numpy as np
import pytest

from models.baselines import SeasonalNaive
from models.metrics import rmse, skill
from models.panel import one_series
from models.specs import SplitSpec, WindowSpec
from tasks.evaluation import choose, evaluate, free_run_scores
from tasks.preparation import prepare_data
from tasks.series import Series


def test_rmse_is_the_root_of_the_mean_square() -> None:
    assert rmse(np.array([1.0, 2.0]), np.array([4.0, 6.0])) == pytest.approx(np.sqrt((9 + 16) / 2))


def test_skill_is_the_share_of_error_taken_away() -> None:
    assert skill(1.0, 4.0) == 0.75
    assert skill(4.0, 4.0) == 0
    assert skill(8.0, 4.0) == -1


def test_a_free_run_is_scored_over_the_series_known_for_long_enough() -> None:
    truth = np.zeros((2, 120))
    truth[0, 99:] = np.nan  # one point short of a hundred
    path = np.stack([np.full(120, 5.0), np.full(120, 3.0)])
    assert free_run_scores(truth, path) == {100: 3.0}
    assert free_run_scores(truth[:1], path[:1]) == {}


def test_a_gap_within_a_free_run_is_passed_over() -> None:
    truth, path = np.zeros((1, 1000)), np.ones((1, 1000))
    truth[0, 40:60], path[0, 40:60] = np.nan, 100.0
    assert free_run_scores(truth, path) == {100: 1.0, 1000: 1.0}


def test_the_model_is_chosen_by_validation_whatever_the_test_says() -> None:
    scores = {"rnn": {"val_rmse": 2.0, "test_rmse": 1.0}, "gru": {"val_rmse": 1.0, "test_rmse": 9.0}}
    assert choose(scores) == "gru"
    assert choose({"rnn": {"train_rmse": 1.0}, "gru": {"train_rmse": 2.0}}) == "rnn"


def test_a_gap_in_the_truth_shortens_no_free_run() -> None:
    values = np.sin(np.arange(400) / 5)
    panel = one_series("s", values)
    panel.observed[350] = False
    series = Series("s", panel, (), "", "s", "s")
    data = prepare_data.fn(series, WindowSpec(length=10), SplitSpec(test=110), None, "test")
    found = evaluate.fn("last_value", SeasonalNaive(1, 1), data)
    assert found.truth.shape == found.free_run.shape == (1, 110)
    assert np.isnan(found.truth[0]).tolist() == [n == 60 for n in range(110)]
    there = np.arange(100) != 60
    expected = rmse(values[290:390][there], np.full(99, values[289]))
    assert found.scores["free_run_rmse_100"] == pytest.approx(expected)

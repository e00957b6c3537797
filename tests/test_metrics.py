"""The measures by hand, and the tables against the measures of each series and step."""

import time

import numpy as np
import pandas as pd
import pytest

from models.data.panel import Panel, one_series, panel_from_frame
from models.metrics import ScoreTable, coverage, naive_scale, rmse, score_table, skill, width
from tests.support.measures import mae, mase, quantile_loss, smape

NAN = np.nan


def three_series() -> Panel:
    """`a` is 1, 2, 4, 8, 16 (points 0 to 4), `b` is 3, -, 9, 10 (points 5 to 8), `c` is 5, 5, 5 (points 9 to 11)."""
    values = [1.0, 2.0, 4.0, 8.0, 16.0, 3.0, NAN, 9.0, 10.0, 5.0, 5.0, 5.0]
    frame = pd.DataFrame({"unique_id": list("aaaaabbbbccc"), "ds": [0, 1, 2, 3, 4, 0, 1, 2, 3, 0, 1, 2], "y": values})
    return panel_from_frame(frame, "last")[0]


# Points


def test_errors_of_3_and_4() -> None:
    actual, predicted = np.array([1.0, 2.0]), np.array([4.0, 6.0])
    assert rmse(actual, predicted) == pytest.approx(12.5**0.5)
    assert mae(actual, predicted) == 3.5
    assert smape(actual, predicted) == pytest.approx((200 * 3 / 5 + 200 * 4 / 8) / 2)
    assert mase(actual, predicted, 2.0) == 1.75
    assert mase(actual, predicted, np.array([3.0, 4.0])) == 1.0


def test_smape_is_0_if_value_and_forecast_are_0_and_200_if_one_is() -> None:
    assert smape(np.array([0.0]), np.array([0.0])) == 0
    assert smape(np.array([0.0, 3.0, -1.0]), np.array([7.0, 0.0, 1.0])) == 200
    actual, forecast = np.array([[0.0, 3.0, -1.0]]), np.array([[0.0, 0.0, 1.0]])
    table = score_table(actual, {"m": forecast}, np.array([0]), np.ones(1), {}, 90)
    assert table.by_step["smape"].tolist() == [0, 200, 200]


def test_a_low_quantile_loses_more_by_being_too_high() -> None:
    assert quantile_loss(np.array([10.0]), np.array([14.0]), 0.1) == pytest.approx(0.9 * 4)
    assert quantile_loss(np.array([10.0]), np.array([6.0]), 0.1) == pytest.approx(0.1 * 4)
    assert quantile_loss(np.array([10.0, 10.0]), np.array([14.0, 8.0]), 0.5) == 1.5  # half of the MAE, 3


def test_the_quantile_has_the_smallest_loss() -> None:
    values = np.arange(1.0, 100.0)
    losses = [quantile_loss(values, np.full(99, guess), 0.9) for guess in values]
    assert values[np.argmin(losses)] == 90


def test_a_value_on_a_bound_is_inside() -> None:
    actual = np.array([1.0, 2.0, 3.0, 4.0])
    assert coverage(actual, np.full(4, 2.0), np.full(4, 3.0)) == 0.5
    assert width(np.array([1.0, 2.0]), np.array([2.0, 5.0])) == 2


def test_points_without_an_actual_value_do_not_count() -> None:
    actual, predicted = np.array([[1.0, NAN], [2.0, NAN]]), np.array([[4.0, 1e9], [6.0, NAN]])
    assert rmse(actual, predicted) == pytest.approx(12.5**0.5)
    assert mae(actual, predicted) == 3.5
    assert smape(actual, predicted) == 110
    assert mase(actual, predicted, np.array([[3.0], [NAN]])) == 1.0
    assert quantile_loss(actual, predicted, 0.5) == 1.75
    assert coverage(actual, predicted - 3, predicted) == 0.5
    assert np.isnan(coverage(actual, np.full((2, 2), NAN), np.full((2, 2), NAN)))
    assert width(np.array([1.0, NAN]), np.array([2.0, NAN])) == 1


@pytest.mark.parametrize("actual", [np.empty((0, 3)), np.full((2, 3), NAN)])
def test_without_any_point_every_measure_is_nan_without_a_warning(actual: np.ndarray) -> None:
    other = np.ones(actual.shape)
    scores = [measure(actual, other) for measure in (rmse, mae, smape)]
    scores += [mase(actual, other, 1.0), quantile_loss(actual, other, 0.5), coverage(actual, other, other)]
    assert np.isnan(scores).all()
    assert np.isnan(mase(other, other, 0.0))
    assert np.isnan(width(actual, actual))


def test_a_missing_forecast_makes_the_score_nan() -> None:
    actual, predicted = np.array([1.0, 2.0]), np.array([1.0, NAN])
    assert np.isnan([measure(actual, predicted) for measure in (rmse, mae, smape)]).all()
    assert np.isnan(mase(actual, predicted, 1.0))
    table = score_table(actual[:, None], {"m": predicted[:, None]}, np.array([0, 1]), np.ones(2), {}, 90)
    assert np.isnan(list(table.overall["m"].values())).all()


def test_skill_is_the_share_of_the_baselines_error_that_is_avoided() -> None:
    assert skill(1.0, 4.0) == 0.75
    assert skill(8.0, 4.0) == -1


# The scale of MASE


def test_the_scale_is_the_mean_absolute_change_before_the_end() -> None:
    panel = three_series()
    assert naive_scale(panel, np.array([4, 9, 12]), 1)[0] == pytest.approx((1 + 2 + 4) / 3)
    assert naive_scale(panel, np.array([5, 9, 12]), 1)[0] == pytest.approx((1 + 2 + 4 + 8) / 4)
    assert naive_scale(panel, np.array([5, 9, 12]), 2)[0] == pytest.approx((3 + 6 + 12) / 3)


def test_a_pair_with_a_filled_value_is_left_out_of_the_scale() -> None:
    assert (
        naive_scale(three_series(), np.array([5, 9, 12]), 1)[1] == 1
    )  # from 9 to 10; the value between 3 and 9 is missing
    assert naive_scale(three_series(), np.array([5, 9, 12]), 2)[1] == 6  # from 3 to 9


def test_a_series_not_longer_than_a_season_takes_neighbouring_points() -> None:
    panel = three_series()
    assert naive_scale(panel, np.array([5, 9, 12]), 4)[:2].tolist() == [15, 1]
    assert naive_scale(panel, np.array([5, 9, 12]), 5)[:2].tolist() == [3.75, 1]
    assert naive_scale(panel, np.array([3, 9, 12]), 10**9)[0] == 1.5


def test_a_constant_series_and_a_single_point_have_no_scale() -> None:
    assert np.isnan(naive_scale(three_series(), np.array([1, 5, 12]), 1)).tolist() == [True, True, True]


def test_a_series_without_a_scale_has_no_mase_and_is_left_out_of_the_mean() -> None:
    actual, forecast = np.zeros((3, 2)), np.full((3, 2), 6.0)
    table = score_table(actual, {"m": forecast}, np.arange(3), np.array([2.0, NAN, 3.0]), {}, 90)
    assert table.overall["m"]["mase"] == 2.5
    assert table.by_series["mase"].tolist() == pytest.approx([3, NAN, 2], nan_ok=True)
    assert table.by_step["mase"].tolist() == [2.5, 2.5]
    assert table.overall["m"]["mae"] == 6


# Tables


def small() -> ScoreTable:
    """Series 2 has two origins and series 0 one; the errors are 1 and 3, 2 and unknown, 6 and 0."""
    actual = np.array([[10.0, 10.0], [10.0, NAN], [10.0, 10.0]])
    forecast = np.array([[11.0, 7.0], [12.0, 99.0], [4.0, 10.0]])
    bounds = forecast - 2, forecast + 2
    series, scale = np.array([2, 2, 0]), np.array([3.0, 1.0, 2.0])
    return score_table(actual, {"m": forecast, "n": actual}, series, scale, {"m": bounds}, 90)


def test_rmse_and_mae_pool_all_points_and_smape_and_mase_are_means_over_series() -> None:
    scores = small().overall["m"]
    assert scores["rmse"] == pytest.approx((1 + 9 + 4 + 36 + 0) ** 0.5 / 5**0.5)
    assert scores["mae"] == pytest.approx((1 + 3 + 2 + 6 + 0) / 5)
    assert scores["mase"] == pytest.approx((2 / 2 + 3 / 3) / 2)
    assert scores["smape"] == pytest.approx((200 * (1 / 21 + 3 / 17 + 2 / 22) / 3 + 200 * (6 / 14 + 0) / 2) / 2)


def test_the_measures_of_intervals_carry_their_level() -> None:
    scores = small().overall["m"]
    assert scores["coverage_90"] == pytest.approx(3 / 5)
    assert scores["width_90"] == pytest.approx(4)
    low = 0.05 * (1 + 5 + 8 + 2) + 0.95 * 0  # the lower bounds are 9, 5, 10, 2 and 8
    high = 0.05 * (3 + 4 + 2) + 0.95 * (1 + 4)  # the upper bounds are 13, 9, 14, 6 and 12
    assert scores["quantile_loss_90"] == pytest.approx((low + high + 12 / 2) / 3 / 5)
    assert set(small().overall["n"]) == {"rmse", "mae", "smape", "mase"}


def test_each_series_and_model_has_a_row() -> None:
    table = small().by_series
    columns = ["rmse", "mae", "smape", "mase", "coverage_90", "width_90", "quantile_loss_90"]
    assert table.columns.tolist() == ["series", "model", *columns]
    assert table["series"].tolist() == [0, 0, 2, 2]
    assert table["model"].tolist() == ["m", "n", "m", "n"]
    assert table["mae"].tolist() == [3, 0, 2, 0]
    assert table["rmse"].tolist() == pytest.approx([18**0.5, 0, (14 / 3) ** 0.5, 0])
    assert table["mase"].tolist() == [1, 0, 1, 0]
    assert table["coverage_90"].tolist() == pytest.approx([1 / 2, NAN, 2 / 3, NAN], nan_ok=True)


def test_each_step_ahead_and_model_has_a_row() -> None:
    table = small().by_step
    assert table["step"].tolist() == [1, 1, 2, 2]
    assert table["model"].tolist() == ["m", "n", "m", "n"]
    assert table["mae"].tolist() == [3, 0, 1.5, 0]
    assert table["mase"].tolist() == pytest.approx([(1.5 / 2 + 6 / 3) / 2, 0, (3 / 2 + 0) / 2, 0])
    assert table["coverage_90"].tolist() == pytest.approx([2 / 3, NAN, 1 / 2, NAN], nan_ok=True)


def test_points_without_bounds_count_for_no_measure_of_intervals() -> None:
    actual, forecast = np.zeros((2, 2)), np.array([[1.0, 50.0], [3.0, 50.0]])
    reach = np.array([2.0, NAN])
    bounds = forecast - reach, forecast + reach
    table = score_table(actual, {"m": forecast}, np.zeros(2, int), np.ones(1), {"m": bounds}, 80)
    assert table.overall["m"]["coverage_80"] == 0.5
    assert table.overall["m"]["width_80"] == 4
    assert table.by_step["coverage_80"].tolist() == pytest.approx([0.5, NAN], nan_ok=True)


def test_a_step_and_a_series_without_any_actual_value_are_nan() -> None:
    actual = np.array([[1.0, NAN], [NAN, NAN]])
    table = score_table(actual, {"m": np.zeros((2, 2))}, np.array([0, 1]), np.ones(2), {}, 90)
    assert table.by_series["rmse"].tolist() == pytest.approx([1, NAN], nan_ok=True)
    assert table.by_step["smape"].tolist() == pytest.approx([200, NAN], nan_ok=True)
    assert table.overall["m"] == {"rmse": 1, "mae": 1, "smape": 200, "mase": 1}


def test_without_an_origin_everything_is_nan() -> None:
    table = score_table(np.empty((0, 2)), {"m": np.empty((0, 2))}, np.empty(0, int), np.ones(3), {}, 90)
    assert np.isnan(list(table.overall["m"].values())).all()
    assert len(table.by_series) == 0
    assert len(table.by_step) == 2


@pytest.mark.parametrize("season", [1, 24])
def test_one_origin_a_series_gives_smape_and_mase_as_the_m4_competition_computes_them(season: int) -> None:
    draw, horizon = np.random.default_rng(0), 48
    series = [100 + draw.normal(size=length).cumsum() for length in (748, 90, 1008, 120)]
    smapes, mases, actual, forecasts = [], [], [], []
    for values in series:
        train, test = values[:-horizon], values[-horizon:]
        forecast = test + draw.normal(size=horizon)
        smapes.append(np.mean(200 * np.abs(test - forecast) / (np.abs(test) + np.abs(forecast))))
        mases.append(np.abs(test - forecast).mean() / np.abs(train[season:] - train[:-season]).mean())
        actual.append(test)
        forecasts.append(forecast)
    times = np.concatenate([np.arange(len(values)) for values in series])
    names = np.repeat(list("abcd"), [len(values) for values in series])
    panel, _ = panel_from_frame(pd.DataFrame({"unique_id": names, "ds": times, "y": np.concatenate(series)}), "error")
    scale = naive_scale(panel, panel.ends - horizon, season)
    table = score_table(np.array(actual), {"m": np.array(forecasts)}, np.arange(4), scale, {}, 90)
    assert table.overall["m"]["smape"] == pytest.approx(np.mean(smapes), rel=1e-12)
    assert table.overall["m"]["mase"] == pytest.approx(np.mean(mases), rel=1e-12)
    assert table.by_series["smape"].tolist() == pytest.approx(smapes, rel=1e-12)
    assert table.by_series["mase"].tolist() == pytest.approx(mases, rel=1e-12)


def test_every_cell_of_the_tables_is_the_measure_of_its_points() -> None:
    draw = np.random.default_rng(1)
    actual = np.where(draw.random((60, 5)) < 0.2, NAN, draw.normal(size=(60, 5)))
    forecast, series, scale = draw.normal(size=(60, 5)), draw.integers(0, 7, 60), draw.random(7) + 0.5
    low, high = forecast - draw.random((60, 5)), forecast + draw.random((60, 5))
    table = score_table(actual, {"m": forecast}, series, scale, {"m": (low, high)}, 80)
    for index in range(7):
        a, f, lo, hi = (part[series == index] for part in (actual, forecast, low, high))
        pinballs = quantile_loss(a, lo, 0.1), quantile_loss(a, f, 0.5), quantile_loss(a, hi, 0.9)
        scores = rmse(a, f), mae(a, f), smape(a, f), mase(a, f, scale[index]), coverage(a, lo, hi)
        expected = [*scores, width(lo[~np.isnan(a)], hi[~np.isnan(a)]), np.mean(pinballs)]
        assert table.by_series.drop(columns=["series", "model"]).iloc[index].tolist() == pytest.approx(expected)
    for step in range(5):
        a, f = actual[:, step], forecast[:, step]
        means = [
            [smape(a[series == n], f[series == n]), mase(a[series == n], f[series == n], scale[n])] for n in range(7)
        ]
        expected = [rmse(a, f), mae(a, f), *np.mean(means, axis=0), coverage(a, low[:, step], high[:, step])]
        assert table.by_step.iloc[step, 2:7].tolist() == pytest.approx(expected)


@pytest.mark.parametrize(("origins", "series", "steps"), [(414, 414, 48), (2785, 1, 96), (10_000, 10_000, 48)])
def test_large_tables_need_no_loop_over_series(origins: int, series: int, steps: int) -> None:
    actual = np.random.default_rng(0).normal(size=(origins, steps))
    numbers = np.arange(origins) % series
    began = time.process_time()
    table = score_table(actual, {"m": actual + 1}, numbers, np.ones(series), {"m": (actual - 1, actual + 2)}, 90)
    assert time.process_time() - began < 2  # about 0.2 s; a loop over 10,000 series takes many times as long
    assert len(table.by_series) == series
    assert table.overall["m"]["rmse"] == pytest.approx(1)


def test_the_scale_does_not_see_values_after_the_end() -> None:
    panel = one_series("a", np.array([1.0, 3.0, 2.0, 1e9]))
    assert naive_scale(panel, np.array([3]), 1).tolist() == [1.5]

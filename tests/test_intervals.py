"""Conformal half-widths by hand, against the theory, and without looking ahead."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.intervals import (
    Intervals,
    conformal_half_widths,
    fixed_half_widths,
    rolling_half_widths,
)
from models.metrics import coverage

NAN = np.nan


def conformal_half_width(errors: np.ndarray, level: int) -> float:
    """Return the half-width of a single column of errors."""
    return float(conformal_half_widths(errors[:, None], level)[0])


# One half-width


def test_of_the_errors_1_to_19_the_18th_makes_90_percent() -> None:
    errors = np.random.default_rng(0).permutation(np.arange(1.0, 20.0))
    assert conformal_half_width(errors, 90) == 18
    assert conformal_half_width(-errors, 90) == 18
    assert conformal_half_width(errors, 91) == 19  # the 18.2th
    assert conformal_half_width(errors, 50) == 10
    assert conformal_half_width(errors, 5) == 1
    assert conformal_half_width(errors, 1) == 1


def test_with_too_few_errors_the_largest_is_taken() -> None:
    assert conformal_half_width(np.array([3.0, -7.0, 2.0]), 90) == 7  # 90 % take 9
    assert conformal_half_width(np.arange(1.0, 9.0), 90) == 8
    assert conformal_half_width(np.arange(1.0, 10.0), 90) == 9
    assert conformal_half_width(np.array([3.0]), 1) == 3


def test_without_errors_there_is_no_half_width() -> None:
    assert np.isnan(conformal_half_width(np.empty(0), 90))
    assert np.isnan(conformal_half_width(np.full(3, NAN), 90))
    assert np.isnan(conformal_half_widths(np.empty((0, 2)), 90)).tolist() == [True, True]


def test_unknown_errors_are_left_out_at_each_step() -> None:
    errors = np.array([[1.0, NAN, NAN], [-4.0, 2.0, NAN], [3.0, 5.0, NAN]])
    half_widths = conformal_half_widths(errors, 50).tolist()
    assert half_widths == pytest.approx([3, 5, NAN], nan_ok=True)  # the 2nd of 3, of 2, of 0


@pytest.mark.parametrize("level", [10, 29, 57, 58, 90, 99])
@pytest.mark.parametrize("count", [99, 199, 999])
def test_the_rank_is_exact_where_n_plus_1_is_a_multiple_of_100(count: int, level: int) -> None:
    assert conformal_half_width(np.arange(1.0, count + 1), level) == (count + 1) // 100 * level


# Theory


@pytest.mark.parametrize(("count", "level"), [(9, 90), (19, 90), (20, 90), (30, 50), (50, 80), (199, 99)])
def test_the_coverage_of_exchangeable_errors_is_the_level_or_up_to_1_in_n_plus_1_more(count: int, level: int) -> None:
    draw, draws = np.random.default_rng(count), 40_000
    errors = draw.standard_t(3, size=(count + 1, draws)) * np.exp(draw.normal(size=draws))  # exchangeable in a column
    covered = np.mean(np.abs(errors[-1]) <= conformal_half_widths(errors[:-1], level))
    tolerance = 4 * np.sqrt(0.25 / draws)
    assert level / 100 - tolerance <= covered <= level / 100 + 1 / (count + 1) + tolerance
    assert covered == pytest.approx(np.ceil(round((count + 1) * level / 100, 9)) / (count + 1), abs=tolerance)


def test_fixed_and_rolling_intervals_cover_about_their_level_of_white_noise() -> None:
    draw = np.random.default_rng(2)
    actual, forecast, scale = draw.normal(size=(3000, 2)), np.zeros((3000, 2)), np.ones(3000)
    fixed = Intervals(80, fixed_half_widths(actual[:1000], forecast[:1000], scale[:1000], 80))
    assert coverage(actual[1000:], *fixed.around(forecast[1000:], scale[1000:])) == pytest.approx(0.8, abs=0.04)
    rolling = rolling_half_widths(actual, forecast, scale, np.arange(3000), np.zeros(3000, int), 80, 200)
    assert coverage(actual, -rolling, rolling) == pytest.approx(0.8, abs=0.03)


# Fixed half-widths


def test_fixed_half_widths_pool_origins_and_series_by_their_scales() -> None:
    actual = np.array([[n, -n] for n in range(1, 7)] + [[10 * n, 100 * n] for n in range(7, 12)], float)  # [11, 2]
    half_widths = fixed_half_widths(actual, np.zeros((11, 2)), np.repeat([1.0, 10.0], [6, 5]), 50)
    assert half_widths.tolist() == [6, 6]  # the middle ones of 1 to 6, 7 to 11 and of 1 to 6, 70 to 110


def test_a_step_with_fewer_than_ten_known_errors_has_no_fixed_half_width() -> None:
    actual = np.repeat(np.arange(1.0, 12.0)[:, None], 4, axis=1)  # [11, 4]
    actual[0, 1:] = actual[1, 2:] = actual[:, 3] = NAN
    half_widths = fixed_half_widths(actual, np.zeros((11, 4)), np.ones(11), 50)
    assert half_widths.tolist() == pytest.approx([6, 7, NAN, NAN], nan_ok=True)  # the 6th of 1 to 11, of 2 to 11
    assert np.isnan(fixed_half_widths(np.empty((0, 2)), np.empty((0, 2)), np.empty(0), 50)).tolist() == [True, True]


def test_intervals_lie_around_a_forecast_by_the_scale_of_its_series() -> None:
    intervals = Intervals(90, np.array([1.0, 2.0]))
    low, high = intervals.around(np.array([[5.0, 5.0], [50.0, 50.0]]), np.array([1.0, 10.0]))
    assert low.tolist() == [[4, 3], [40, 30]]
    assert high.tolist() == [[6, 7], [60, 70]]


def test_steps_without_a_half_width_have_no_interval_and_fewer_steps_take_the_first() -> None:
    intervals = Intervals(90, np.array([1.0, 2.0]))
    low, high = intervals.around(np.array([[5.0, 5.0, 5.0]]), np.array([1.0]))
    assert low[0].tolist() == pytest.approx([4, 3, NAN], nan_ok=True)
    assert high[0].tolist() == pytest.approx([6, 7, NAN], nan_ok=True)
    assert intervals.around(np.array([[5.0]]), np.array([1.0]))[1].tolist() == [[6]]


# Rolling half-widths


def slow_half_widths(
    errors: np.ndarray, origins: np.ndarray, series: np.ndarray, level: int, recent: int
) -> np.ndarray:
    """What `rolling_half_widths` computes, cell by cell."""
    half_widths = np.full(errors.shape, NAN)
    for i, s in np.ndindex(*errors.shape):
        known_errors = [
            errors[j, s]
            for j in range(len(errors))
            if series[j] == series[i] and origins[j] + s < origins[i] and not np.isnan(errors[j, s])
        ]
        if len(known_errors) >= 10:
            half_widths[i, s] = conformal_half_width(np.array(known_errors[-recent:]), level)
    return half_widths


def test_the_first_half_width_comes_once_10_actual_values_are_known() -> None:
    actual = np.repeat(np.arange(1.0, 16.0)[:, None], 3, axis=1)  # [15, 3]
    half_widths = rolling_half_widths(
        actual, np.zeros((15, 3)), np.ones(15), np.arange(100, 115), np.zeros(15, int), 50, 100
    )
    assert np.isnan(half_widths).sum(axis=0).tolist() == [10, 11, 12]
    assert half_widths[10].tolist() == pytest.approx([6, NAN, NAN], nan_ok=True)  # 1 to 10: the ceil(5.5)th
    assert half_widths[14].tolist() == [8, 7, 7]  # 1 to 14, to 13 and to 12


def test_only_the_latest_errors_count() -> None:
    actual = np.append(np.full(20, 50.0), np.arange(1.0, 15.0))[:, None]  # [34, 1]
    half_widths = rolling_half_widths(actual, np.zeros((34, 1)), np.ones(34), np.arange(34), np.zeros(34, int), 90, 12)
    assert half_widths[20, 0] == 50
    assert half_widths[31, 0] == 50  # 11 small ones and a 50
    assert half_widths[33, 0] == 13  # 2 to 13, the 12th of 12


def test_origins_far_apart_know_the_actual_values_of_all_steps_before() -> None:
    actual = np.repeat(np.arange(1.0, 16.0)[:, None], 3, axis=1)  # [15, 3]
    half_widths = rolling_half_widths(
        actual, np.zeros((15, 3)), np.ones(15), np.arange(15) * 3, np.zeros(15, int), 50, 100
    )
    assert half_widths[10].tolist() == [6, 6, 6]


@pytest.mark.parametrize("recent", [10, 13, 1000])
@pytest.mark.parametrize("level", [50, 90])
def test_rolling_half_widths_are_conformal_half_widths_of_known_errors(level: int, recent: int) -> None:
    draw = np.random.default_rng(3)
    series = draw.integers(0, 3, 120)  # in any order
    origins = np.cumsum(draw.integers(1, 4, 120))
    actual = np.where(draw.random((120, 6)) < 0.1, NAN, draw.normal(size=(120, 6)).round(1))  # with ties
    forecast, scale = draw.normal(size=(120, 6)).round(1), draw.choice([0.5, 2.0], 120)
    half_widths = rolling_half_widths(actual, forecast, scale, origins, series, level, recent)
    expected = slow_half_widths(np.abs(actual - forecast) / scale[:, None], origins, series, level, recent)
    np.testing.assert_array_equal(half_widths, expected)
    assert 0 < np.isnan(half_widths).mean() < 0.9


def test_a_series_learns_nothing_from_another() -> None:
    actual = np.append(np.ones(15), np.full(9, 100.0))[:, None]  # [24, 1]
    half_widths = rolling_half_widths(
        actual, np.zeros((24, 1)), np.ones(24), np.arange(24), np.repeat([0, 1], [15, 9]), 90, 100
    )
    assert half_widths[10:15, 0].tolist() == [1] * 5
    assert np.isnan(half_widths[15:]).all()


def half_widths_along(values: np.ndarray) -> np.ndarray:
    """Half-widths [38, 4] of the origins 2 to 39 of a series of 45 values that is forecast as 0."""
    origins = np.arange(2, 40)
    actual = values[origins[:, None] + np.arange(4)]  # [38, 4]
    return rolling_half_widths(actual, np.zeros((38, 4)), np.ones(38), origins, np.zeros(38, int), 90, 15)


@given(changed=st.integers(12, 39), value=st.floats(-1e3, 1e3))
def test_no_value_from_an_origin_on_changes_a_half_width_of_that_origin(changed: int, value: float) -> None:
    values = np.random.default_rng(0).normal(size=45)
    spoilt = values.copy()
    spoilt[changed:] = value
    unchanged = slice(0, changed - 1)  # the origins 2 to `changed`
    np.testing.assert_array_equal(half_widths_along(spoilt)[unchanged], half_widths_along(values)[unchanged])


def test_the_value_just_before_an_origin_changes_its_half_widths() -> None:
    values = np.random.default_rng(0).normal(size=45)
    low, high = values.copy(), values.copy()
    low[29], high[29] = 0, 1e3
    assert (half_widths_along(low)[28] != half_widths_along(high)[28]).all()  # origin 30, every step
    np.testing.assert_array_equal(half_widths_along(low)[27], half_widths_along(high)[27])  # origin 29


def test_origins_out_of_order_are_refused() -> None:
    with pytest.raises(AssertionError, match="increase"):
        rolling_half_widths(
            np.ones((11, 1)), np.ones((11, 1)), np.ones(11), np.arange(11)[::-1], np.zeros(11, int), 90, 10
        )


def test_without_origins_there_are_no_half_widths() -> None:
    empty = np.empty(0, int)
    assert rolling_half_widths(np.empty((0, 3)), np.empty((0, 3)), np.empty(0), empty, empty, 90, 10).shape == (0, 3)


def test_thousands_of_origins_take_seconds() -> None:
    actual = np.random.default_rng(0).normal(size=(5600, 96))
    began = time.process_time()
    rolling_half_widths(actual, np.zeros((5600, 96)), np.ones(5600), np.arange(5600), np.zeros(5600, int), 90, 1000)
    assert time.process_time() - began < 10  # about 1 s

"""The naive forecasts by hand, and the linear autoregression on series that it must forecast exactly."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.baselines import BASELINES, LinearAR, SeasonalNaive, fit_baseline
from models.data import windows
from models.data.panel import Panel, one_series, panel_from_frame
from models.data.steps import ONE
from tests.support.panels import cut_short

TIME = np.arange(3000.0)


def two_series() -> Panel:
    """`a` is 1, 2, 3, 4 (points 0 to 3); `b` is 10, 20, 30, 40, 50 (points 4 to 8)."""
    values = [1.0, 2.0, 3.0, 4.0, 10.0, 20.0, 30.0, 40.0, 50.0]
    frame = pd.DataFrame({"unique_id": list("aaaabbbbb"), "ds": [0, 1, 2, 3, 0, 1, 2, 3, 4], "y": values})
    return panel_from_frame(frame, "error")[0]


def fitted(values: np.ndarray, length: int, train: int = 600, horizon: int = 1) -> tuple[LinearAR, Panel, np.ndarray]:
    """A linear autoregression fitted to the first `train` points, with its panel and origins."""
    panel, origins = one_series("a", values), np.arange(length, train)
    network = LinearAR(length, horizon)
    network.fit(panel, origins)
    return network, panel, origins


# Last value and season


def test_the_last_value_is_repeated() -> None:
    naive = SeasonalNaive(season=1, horizon=3)
    assert naive.predict(two_series(), np.array([2, 7])).tolist() == [[2, 2, 2], [30, 30, 30]]


def test_a_season_is_repeated() -> None:
    naive = SeasonalNaive(season=3, horizon=2)
    assert naive.predict(two_series(), np.array([3, 8])).tolist() == [[1, 2], [20, 30]]


def test_a_horizon_longer_than_the_season_repeats_the_last_season() -> None:
    naive = SeasonalNaive(season=2, horizon=5)
    assert naive.predict(two_series(), np.array([8])).tolist() == [[30, 40, 30, 40, 30]]


def test_before_a_season_has_passed_the_last_value_is_repeated() -> None:
    naive = SeasonalNaive(season=3, horizon=3)
    assert naive.predict(two_series(), np.array([5, 6])).tolist() == [[10, 10, 10], [20, 10, 20]]  # never 2, 3 or 4


def test_the_same_rule_holds_beyond_the_end() -> None:
    assert SeasonalNaive(season=1, horizon=1).extend(two_series(), 2).tolist() == [[4, 4], [50, 50]]
    assert SeasonalNaive(season=3, horizon=1).extend(two_series(), 4).tolist() == [[2, 3, 4, 2], [30, 40, 50, 30]]
    assert SeasonalNaive(season=99, horizon=1).extend(two_series(), 2).tolist() == [[4, 4], [50, 50]]


def test_a_path_may_start_at_any_origin() -> None:
    naive = SeasonalNaive(season=3, horizon=1)
    assert naive.extend(two_series(), 4, np.array([3, 8, 9])).tolist() == [
        [1, 2, 3, 1],
        [20, 30, 40, 20],
        [30, 40, 50, 30],
    ]


def test_a_season_as_long_as_a_waves_period_is_exact() -> None:
    wave = one_series("a", np.sin(2 * np.pi * TIME / 25))
    path = SeasonalNaive(season=25, horizon=1).extend(cut_short(wave, np.array([1000])), 1000)
    np.testing.assert_allclose(path[0], wave.values[1000:2000], atol=1e-10)


# Linear autoregression


def test_the_next_value_is_a_constant_and_a_weighted_value() -> None:
    network, _, _ = fitted(np.array([0.0, 1.0, 1.5, 1.75, 1.875]), length=1, train=5)  # x' = x / 2 + 1
    panel = one_series("a", np.array([4.0, -2.0]))
    assert network.predict(panel, np.array([1, 2])) == pytest.approx(np.array([[3.0], [0.0]]))


def test_further_steps_come_from_its_own_forecasts() -> None:
    network, panel, _ = fitted(np.array([0.0, 1.0, 1.5, 1.75, 1.875]), length=1, train=5, horizon=3)
    four = one_series("a", np.array([4.0]))
    assert network.predict(four, np.array([1])) == pytest.approx(np.array([[3.0, 2.5, 2.25]]))
    assert network.extend(panel, 2) == pytest.approx(np.array([[1.9375, 1.96875]]))


@pytest.mark.parametrize("chunk", [1, 40, windows.CHUNK])
def test_the_weights_are_those_of_least_squares(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).normal(size=300) + 5
    past = np.lib.stride_tricks.sliding_window_view(noise[:-1], 3)  # [297, 3]
    rows = np.column_stack([past, np.ones(297)])
    expected = rows @ np.linalg.lstsq(rows[:200], noise[3:203], rcond=None)[0]
    monkeypatch.setattr(windows, "CHUNK", chunk)
    network, panel, _ = fitted(noise, length=3, train=203)
    np.testing.assert_allclose(network.predict(panel, np.arange(3, 300))[:, 0], expected, rtol=0, atol=1e-12)


def test_one_set_of_weights_serves_series_of_any_level_and_scale() -> None:
    wave = np.sin(TIME[:100] * 0.3)
    values = np.concatenate([wave, 500 + 20 * np.roll(wave, 5)])
    panel = Panel(("a", "b"), values, np.ones(200, bool), np.array([0, 100, 200]), (np.int64(0),) * 2, ONE)
    network, origins = LinearAR(5, 1), np.concatenate([np.arange(5, 60), np.arange(110, 160)])
    network.fit(panel, origins)
    later = np.concatenate([np.arange(60, 100), np.arange(160, 200)])
    np.testing.assert_allclose(network.predict(panel, later)[:, 0], values[later], rtol=0, atol=1e-9)


def test_several_origins_of_a_series_are_extended_as_each_alone() -> None:
    network, panel, _ = fitted(np.sin(TIME * 0.3), length=4)
    paths = network.extend(panel, 3, np.array([10, 700]))
    np.testing.assert_allclose(paths, [panel.values[10:13], panel.values[700:703]], rtol=0, atol=1e-9)


EXACT: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sine": lambda t: np.sin(t * 0.1001),
    "slow sine": lambda t: np.sin(t * 0.01),
    "hardly a sine": lambda t: np.sin(t * 0.001),
    "two sines": lambda t: np.sin(t * 0.1) + np.cos(t * 0.37) / 2,
    "line": lambda t: 0.5 * t + 7,
    "line and sine": lambda t: 0.01 * t + np.sin(t * 0.2),
}


@pytest.mark.parametrize("length", [5, 20])
@pytest.mark.parametrize("name", EXACT)
def test_it_is_exact_on_lines_and_sines_even_in_a_free_run_of_1000_steps(name: str, length: int) -> None:
    values = EXACT[name](TIME)
    network, panel, origins = fitted(values, length)
    np.testing.assert_allclose(network.predict(panel, origins)[:, 0], values[origins], rtol=0, atol=1e-9)
    path = network.extend(cut_short(panel, np.array([600])), 1000)
    np.testing.assert_allclose(path[0], values[600:1600], rtol=0, atol=1e-8)


def test_a_sine_needs_two_values() -> None:
    values = np.sin(TIME * 0.1)
    pair, panel, origins = fitted(values, length=2)
    assert np.abs(pair.predict(panel, origins)[:, 0] - values[origins]).max() < 1e-9
    single, panel, origins = fitted(values, length=1)
    assert np.abs(single.predict(panel, origins)[:, 0] - values[origins]).max() > 0.05


def test_a_sine_far_from_zero_is_forecast_to_rounding_errors() -> None:
    values = 1e6 + np.sin(TIME * 0.1)  # doubles are 1.2e-10 apart there
    network, panel, origins = fitted(values, length=20)
    np.testing.assert_allclose(network.predict(panel, origins)[:, 0], values[origins], rtol=0, atol=1e-9)
    path = network.extend(cut_short(panel, np.array([600])), 1000)
    np.testing.assert_allclose(path[0], values[600:1600], rtol=0, atol=1e-8)


def test_fewer_rows_than_weights_are_fitted_exactly() -> None:
    values = np.sin(TIME * 0.3)
    network, panel, origins = fitted(values, length=20, train=25)
    assert len(origins) == 5
    np.testing.assert_allclose(network.predict(panel, origins)[:, 0], values[20:25], atol=1e-9)


def test_a_constant_series_is_continued() -> None:
    network, panel, _ = fitted(np.full(50, 5.0), length=4, train=50)
    np.testing.assert_allclose(network.extend(panel, 100), 5.0, rtol=1e-12)


def test_noise_is_forecast_by_its_mean_and_not_by_its_last_value() -> None:
    noise = np.random.default_rng(1).normal(size=3000)
    network, panel, _ = fitted(noise, length=1, train=2000)
    later = np.arange(2000, 3000)
    errors = network.predict(panel, later)[:, 0] - noise[later]
    assert np.sqrt((errors**2).mean()) < 1.03 * noise[later].std()  # the last value would have 1.41 times as much


def test_values_after_the_training_part_change_no_weight() -> None:
    values = np.sin(TIME * 0.1)
    spoilt = values.copy()
    spoilt[600:] = 1e6
    other, origins = one_series("a", np.random.default_rng(0).normal(size=20)), np.arange(5, 20)
    first, second = (fitted(series, length=5)[0].predict(other, origins) for series in (values, spoilt))
    np.testing.assert_array_equal(first, second)


# All baselines


def test_each_baseline_has_its_name() -> None:
    panel = one_series("a", np.arange(10.0))
    forecasts = {
        name: fit_baseline(name, panel, np.arange(4, 10), length=4, horizon=2, season=3).extend(panel, 2)[0]
        for name in BASELINES
    }
    assert forecasts["last_value"].tolist() == [9, 9]
    assert forecasts["seasonal_naive"].tolist() == [7, 8]
    assert forecasts["linear_ar"] == pytest.approx([10, 11])


@pytest.mark.parametrize("name", BASELINES)
def test_all_origins_at_once_are_forecast_as_each_alone(name: str) -> None:
    panel = one_series("a", np.random.default_rng(0).normal(size=80))
    network = fit_baseline(name, panel, np.arange(6, 50), length=6, horizon=4, season=5)
    origins = np.arange(6, 77)
    alone = np.concatenate([network.predict(panel, origins[n : n + 1]) for n in range(len(origins))])
    np.testing.assert_allclose(network.predict(panel, origins), alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", BASELINES)
def test_a_forecast_from_the_end_does_not_need_the_values_after_it(name: str) -> None:
    values = np.random.default_rng(0).normal(size=80)
    panel = one_series("a", values)
    network = fit_baseline(name, panel, np.arange(6, 50), length=6, horizon=4, season=5)
    extended = network.extend(cut_short(panel, np.array([60])), 4)
    np.testing.assert_allclose(extended, network.predict(panel, np.array([60])), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", BASELINES)
@given(origin=st.integers(6, 36), later=st.integers(0, 33), value=st.floats(-1e3, 1e3))
def test_no_value_from_an_origin_on_changes_the_forecast_made_there(
    name: str, origin: int, later: int, value: float
) -> None:
    values = np.random.default_rng(0).normal(size=40)
    panel = one_series("a", values)
    network = fit_baseline(name, panel, np.arange(6, 30), length=6, horizon=4, season=5)
    forecast = network.predict(panel, np.array([origin]))
    changed = values.copy()
    changed[min(origin + later, 39)] = value
    np.testing.assert_array_equal(network.predict(panel.with_values(changed), np.array([origin])), forecast)
    changed[origin - 5 : origin] += 1
    assert (network.predict(panel.with_values(changed), np.array([origin])) != forecast).any()


def test_without_any_observed_target_the_forecast_is_0() -> None:
    table = pd.DataFrame({"unique_id": "a", "ds": np.arange(5), "y": [1.0, 2.0, np.nan, np.nan, 5.0]})
    panel, _ = panel_from_frame(table, "last")
    model = fit_baseline("linear_ar", panel, np.array([2, 3]), 2, 3, 1)
    assert model.predict(panel, np.array([5])).tolist() == [[0, 0, 0]]

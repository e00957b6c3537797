"""Holt-Winters' method by hand, on series whose future is known, and with gaps, short series and long ones."""

import numpy as np
import pytest

from models.data.panel import Panel, one_series
from models.holt_winters import HoltWinters, Smoothing


def smoothed(values: list[float], season: int, rates: tuple[float, float, float, float], steps: int) -> list[float]:
    """Return the forecasts after all of the values; NaN is a missing one."""
    smoothing = Smoothing(np.array(values[:1]), season, np.array(rates)[:, None])
    for value in values:
        smoothing.read(np.array([[np.nan_to_num(value)]]), np.array([[np.isfinite(value)]]))
    forecasts: list[float] = smoothing.forecast(np.array([0]), steps)[0, :, 0].tolist()
    return forecasts


def fitted(values: np.ndarray, season: int = 1, horizon: int = 1) -> HoltWinters:
    network = HoltWinters(season, horizon)
    network.fit(one_series("s", values), np.arange(season + 1, len(values)))
    return network


@pytest.mark.parametrize(
    ("values", "forecasts"),
    [
        ([4.0], [4, 4]),
        ([4.0, 8.0], [6, 6]),  # the level takes half of the error of 4
        ([4.0, 8.0, np.nan], [6, 6]),
        ([4.0, 8.0, 8.0], [7, 7]),
    ],
)
def test_without_a_trend_half_of_every_error_goes_into_the_level(values: list[float], forecasts: list[float]) -> None:
    assert smoothed(values, 1, (0.5, 0, 0, 1), 2) == forecasts


def test_the_trend_is_damped_from_step_to_step() -> None:
    # The error of 4 makes a level of 4 + 2 and a trend of 1, which counts for 0.5 at first, and then for 0.25 more.
    assert smoothed([4, 8], 1, (0.5, 0.25, 0, 0.5), 3) == [6.5, 6.75, 6.875]


def test_the_first_season_gives_the_level_and_what_differs_from_it() -> None:
    assert smoothed([1, 3, 8], 3, (0.5, 0, 0.5, 1), 4) == [1, 3, 8, 1]
    assert smoothed([1, 3], 3, (0.5, 0, 0.5, 1), 4) == [2, 2, 2, 2]  # the mean, as long as there is no season


def test_the_season_takes_a_share_of_what_the_level_leaves_of_an_error() -> None:
    # 1, 3, 8 have the mean 4; the 5 is an error of 4: 2 for the level, and half of the other 2 for the season.
    assert smoothed([1, 3, 8, 5], 3, (0.5, 0, 0.5, 1), 3) == [3 + 2, 8 + 2, 1 + 2 + 1]


def test_a_missing_value_in_the_first_season_has_no_deviation() -> None:
    assert smoothed([1, np.nan, 9], 3, (0.5, 0, 0.5, 1), 3) == [1, 5, 9]


def test_a_repeating_season_is_forecast_without_error_and_any_number_of_steps_ahead() -> None:
    values = np.tile([3.0, 1.0, 4.0, 1.0, 5.0], 8)
    network = fitted(values, 5, 7)
    origins = np.arange(5, 33)
    expected = values[(origins[:, None] + np.arange(7)) % 5]
    np.testing.assert_allclose(network.predict(one_series("s", values), origins), expected, atol=1e-12)
    np.testing.assert_allclose(network.extend(one_series("s", values), 11), values[None, :11], atol=1e-12)


def test_the_rates_fit_the_series() -> None:
    noise = np.random.default_rng(0).normal(size=2_000)
    assert fitted(noise).rates[0] == 0.02
    assert fitted(noise.cumsum()).rates[0] == 0.9
    assert fitted((noise / 10 + np.sin(np.arange(2_000) / 100)).cumsum(), horizon=10).rates[1] > 0


def test_values_after_the_last_training_origin_change_nothing() -> None:
    values = np.random.default_rng(0).normal(size=200).cumsum()
    networks = [HoltWinters(4, 6), HoltWinters(4, 6)]
    for network, later in zip(networks, (values[150:], 1e6 * values[150:]), strict=True):
        network.fit(one_series("s", np.concatenate([values[:150], later])), np.arange(10, 150))
    np.testing.assert_array_equal(networks[0].rates, networks[1].rates)


def test_values_after_an_origin_change_nothing() -> None:
    values = np.random.default_rng(0).normal(size=60).cumsum()
    network, other = fitted(values, 7, 3), np.concatenate([values[:33], np.full(27, 1e3)])
    for origin in (1, 3, 7, 8, 20, 33):
        expected = network.predict(one_series("s", values), np.array([origin]))
        np.testing.assert_array_equal(network.predict(one_series("s", other), np.array([origin])), expected)
        np.testing.assert_array_equal(network.extend(one_series("s", values[:origin]), 3), expected)


def test_origins_in_any_order_and_series_side_by_side_do_not_change_each_other(panel_of_three: Panel) -> None:
    panel, network = panel_of_three, HoltWinters(4, 5)
    network.fit(panel, np.arange(6, 30))
    origins = np.random.default_rng(1).permutation(np.concatenate([np.arange(2, 40), np.arange(45, 60), [61, 63]]))
    alone = np.concatenate([network.predict(panel, origins[i : i + 1]) for i in range(len(origins))])
    np.testing.assert_array_equal(network.predict(panel, origins), alone)


def test_repeats_in_front_of_a_short_series_change_nothing(panel_of_three: Panel) -> None:
    network, padded = HoltWinters(4, 5), panel_of_three.padded(np.full(3, 50))
    np.testing.assert_array_equal(network.extend(padded, 5), network.extend(panel_of_three, 5))
    before = network.extend(padded, 5, padded.starts + 1)  # nothing is observed yet
    np.testing.assert_array_equal(before, np.repeat(padded.values[padded.starts, None], 5, axis=1))


def test_of_a_long_past_the_last_block_or_two_are_smoothed() -> None:
    values = np.random.default_rng(0).normal(size=900).cumsum()
    network, short = fitted(values, 4, 3), fitted(values, 4, 3)
    short.block = 100
    origins = np.array([50, 200, 201, 450, 900])
    whole, recent = network.predict(one_series("s", values), origins), short.predict(one_series("s", values), origins)
    np.testing.assert_array_equal(recent[:2], whole[:2])
    begins = [None, None, 100, 300, 700]
    for begin, origin, forecast in zip(begins, origins, recent, strict=True):
        np.testing.assert_array_equal(network.extend(one_series("s", values[begin:origin]), 3)[0], forecast)


@pytest.mark.parametrize(
    "values", [np.full(40, 7.0), np.full(40, 1e300), np.zeros(40), np.array([2.0]), np.arange(3.0)]
)
def test_any_series_has_finite_forecasts(values: np.ndarray) -> None:
    network = HoltWinters(12, 4)
    network.fit(one_series("s", values), np.arange(1, len(values)))
    assert np.isfinite(network.extend(one_series("s", values), 20)).all()


@pytest.fixture
def panel_of_three() -> Panel:
    """Return series of 40, 20 and 3 points; the second begins with a gap."""
    values, lengths = np.random.default_rng(0).normal(size=63).cumsum(), [40, 20, 3]
    panel = one_series("s", values)
    observed = np.ones(63, bool)
    observed[40:42] = False
    return Panel(("a", "b", "c"), values, observed, np.cumsum([0, *lengths]), (np.int64(0),) * 3, panel.step)

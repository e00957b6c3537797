"""Scaling: fitted on the training part alone, and undone again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.data.panel import one_series
from models.data.scaling import Scaling, fit_scaling, refuse_constant_series
from models.errors import InputError
from models.specs import WindowSpec
from tests.support.panels import panel_of

PANEL = panel_of(a=[1, 3, 100], b=[10, 30, 10, 30, -999])
TRAIN = np.array([2, 3 + 4])
WINDOW = WindowSpec()
SCALING = Scaling(WINDOW, ("a", "b"), np.array([2.0, 20.0]), np.array([1.0, 10.0]))


def test_mean_and_deviation_are_those_of_each_training_part() -> None:
    scaling = fit_scaling(PANEL, TRAIN, WINDOW)
    assert scaling.ids == ("a", "b")
    assert scaling.offsets.tolist() == [2, 20]
    assert scaling.scales.tolist() == [1, 10]


def test_values_after_the_training_part_change_no_scaling() -> None:
    other = panel_of(a=[1, 3, 7], b=[10, 30, 10, 30, 50])
    first, second = fit_scaling(PANEL, TRAIN, WINDOW), fit_scaling(other, TRAIN, WINDOW)
    assert first.offsets.tolist() == second.offsets.tolist()
    assert first.scales.tolist() == second.scales.tolist()


def test_each_series_is_brought_to_mean_0_and_deviation_1() -> None:
    assert SCALING.scale(PANEL).values.tolist() == [-1, 1, 98, -1, 1, -1, 1, -101.9]


def test_forecasts_are_returned_in_the_units_of_their_series() -> None:
    forecasts = np.array([[0.0, 1.0], [0.0, 1.0], [-1.0, 2.0]])
    assert SCALING.unscale(PANEL, np.array([3, 4, 8]), forecasts).tolist() == [[2, 3], [20, 30], [10, 40]]


def test_a_series_is_identified_by_its_name_and_not_by_its_place() -> None:
    panel = panel_of(b=[20, 30])
    assert SCALING.scale(panel).values.tolist() == [0, 1]
    assert SCALING.unscale(panel, np.array([2]), np.array([[2.0]])).tolist() == [[40]]


def test_a_series_unknown_to_the_scaling_is_scaled_by_its_own_values() -> None:
    panel = panel_of(a=[2, 3], new=[100, 104])
    assert SCALING.scale(panel).values.tolist() == [0, 1, -1, 1]
    assert SCALING.unscale(panel, np.array([4]), np.array([[3.0]])).tolist() == [[108]]


def test_a_constant_unknown_series_is_only_shifted() -> None:
    panel = panel_of(new=[7, 7, 7])
    assert SCALING.scale(panel).values.tolist() == [0, 0, 0]
    assert SCALING.unscale(panel, np.array([3]), np.array([[1.5]])).tolist() == [[8.5]]


def test_without_scaling_everything_stays_as_it_is() -> None:
    unscaled = fit_scaling(PANEL, TRAIN, WindowSpec(scale="none"))
    assert unscaled.scale(PANEL).values is PANEL.values
    forecasts = np.array([[1.0]])
    assert unscaled.unscale(PANEL, np.array([1]), forecasts) is forecasts


numbers = arrays(np.float64, st.integers(2, 20), elements=st.floats(-1e6, 1e6).map(lambda x: round(x, 3)))


@given(numbers.filter(lambda values: np.ptp(values[:2]) > 0))
def test_unscaling_undoes_scaling(values: np.ndarray) -> None:
    panel = one_series("a", values)
    scaling = fit_scaling(panel, np.array([2]), WINDOW)
    scaled = scaling.scale(panel).values[None]  # [1, S]
    np.testing.assert_allclose(scaling.unscale(panel, np.array([1]), scaled)[0], values, rtol=1e-9, atol=1e-9)


SPECS = [
    WindowSpec.model_validate({"scale": scale, "transform": transform})
    for scale in ("none", "standard", "robust")
    for transform in ("none", "log", "difference")
]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.scale}-{spec.transform}")
def test_unscaling_undoes_every_scale_and_transform_after_an_origin(spec: WindowSpec) -> None:
    panel = panel_of(a=[1, 3, 2, 9, 4], b=[10, 30, 10, 40, 20, 70])
    scaling = fit_scaling(panel, np.array([3, 9]), spec)
    origins = np.array([1, 3, 6, 9, 11])
    ahead = np.minimum(origins[:, None] + np.arange(2), np.array([4, 10])[panel.series_of(origins - 1)][:, None])
    steps = np.array([2, 2, 2, 2, 0])[:, None] > np.arange(2)  # the last origin is the end of b
    unscaled = scaling.unscale(panel, origins, scaling.scale(panel).values[ahead])
    np.testing.assert_allclose(unscaled[steps], panel.values[ahead][steps], rtol=1e-12)


def test_a_robust_scale_is_the_median_and_the_interquartile_range_of_observed_values() -> None:
    panel = panel_of(a=[0, 1, 2, 3, 4, np.nan, np.nan, 1000])
    scaling = fit_scaling(panel, np.array([7]), WindowSpec(scale="robust"))
    assert scaling.offsets.tolist() == [2]
    assert scaling.scales[0] == pytest.approx(2 / 1.34898, rel=1e-5)  # from 1 to 3, as a normal distribution has it


def test_the_robust_scale_of_mostly_equal_values_is_their_standard_deviation() -> None:
    panel = panel_of(a=[5, 5, 5, 5, 5, 5, 5, 9])
    scaling = fit_scaling(panel, np.array([8]), WindowSpec(scale="robust"))
    assert scaling.offsets.tolist() == [5]
    assert scaling.scales.tolist() == [pytest.approx(np.std([0] * 7 + [4]))]


@pytest.mark.parametrize("scale", ["standard", "robust"])
def test_a_spread_of_rounding_errors_is_no_scale(scale: str) -> None:
    panel = panel_of(a=[0, 1e-310, 2e-310, 3e-310, 1e99])
    scaling = fit_scaling(panel, np.array([4]), WindowSpec.model_validate({"scale": scale}))
    assert scaling.scales.tolist() == [1]
    assert np.isfinite(scaling.scale(panel).values).all()


def test_logarithms_are_scaled_and_undone() -> None:
    panel = panel_of(a=[1, np.e**2, np.e, np.e**5])
    scaling = fit_scaling(panel, np.array([2]), WindowSpec(transform="log"))
    assert scaling.scale(panel).values == pytest.approx([-1, 1, 0, 4])  # logarithms 0 and 2 to train on
    assert scaling.unscale(panel, np.array([4]), np.array([[-1.0, 0.0]])) == pytest.approx(np.array([[1, np.e]]))


def test_a_value_without_a_logarithm_is_refused() -> None:
    with pytest.raises(InputError, match="series 'b' has the value 0, which has no logarithm"):
        fit_scaling(panel_of(a=[1, 2], b=[3, 0]), np.array([2, 3]), WindowSpec(transform="log"))


def test_differences_begin_with_0_and_are_added_to_the_last_value() -> None:
    panel = panel_of(a=[1, 3, 100], b=[10, 30, 20])
    scaling = fit_scaling(panel, np.array([3, 6]), WindowSpec(transform="difference", scale="none"))
    assert scaling.scale(panel).values.tolist() == [0, 2, 97, 0, 20, -10]
    forecasts = np.array([[1.0, 2.0], [-5.0, 0.0]])
    assert scaling.unscale(panel, np.array([2, 6]), forecasts).tolist() == [[4, 6], [15, 15]]


def test_a_difference_is_observed_if_both_of_its_values_are() -> None:
    panel = panel_of(a=[1, 3, np.nan, 4, 5], b=[7, 8])
    scaling = fit_scaling(panel, np.array([5, 7]), WindowSpec(transform="difference"))
    assert scaling.scale(panel).observed.tolist() == [False, True, False, False, True, False, True]
    assert panel.observed.tolist() == [True, True, False, True, True, True, True]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.scale}-{spec.transform}")
def test_a_series_unknown_to_the_scaling_is_scaled_by_its_values_before_the_origin_alone(spec: WindowSpec) -> None:
    scaling = fit_scaling(panel_of(a=[1, 2, 5]), np.array([3]), spec)
    short, long = panel_of(new=[1, 3, 2, 5]), panel_of(new=[1, 3, 2, 5, 1e6, 1e6])
    scaled = [scaling.scale(panel, until=np.array([4])).values[:4] for panel in (short, long)]
    assert scaled[0].tolist() == scaled[1].tolist()
    unscaled = scaling.unscale(long, np.array([4]), scaled[1][None, 2:], until=np.array([4]))
    assert np.isfinite(unscaled).all()
    assert unscaled.tolist() == scaling.unscale(short, np.array([4]), scaled[0][None, 2:]).tolist()


def test_values_for_a_32_bit_network_are_scaled_in_64_bits() -> None:
    panel = one_series("a", 1e9 + np.arange(4.0))
    scaled = fit_scaling(panel, np.array([4]), WINDOW).scale(panel, np.float32).values
    assert scaled.dtype == np.float32
    assert scaled == pytest.approx((np.arange(4) - 1.5) / np.std(np.arange(4)), rel=1e-6)


def test_a_constant_training_part_is_refused_with_its_series_and_value() -> None:
    refuse_constant_series(PANEL, TRAIN)
    panel = panel_of(a=[1, 2, 3], b=[4, 4, 5])
    refuse_constant_series(panel, np.array([3, 6]))
    with pytest.raises(InputError, match="series 'b' is constant: all 2 points of its training part are 4;"):
        refuse_constant_series(panel, np.array([3, 5]))

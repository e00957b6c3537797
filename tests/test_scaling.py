"""Scaling: by the training part alone, and back again."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.errors import InputError
from models.panel import Panel, one_series, panel_from_frame
from models.scaling import UNSCALED, Scaling, fit_scaling, refuse_constant_series


def panel_of(**series: list[float]) -> Panel:
    tables = [
        pd.DataFrame({"unique_id": name, "ds": np.arange(len(values)), "y": np.array(values, float)})
        for name, values in series.items()
    ]
    return panel_from_frame(pd.concat(tables), "last")[0]


PANEL = panel_of(a=[1, 3, 100], b=[10, 30, 10, 30, -999])
TRAIN = np.array([2, 3 + 4])
SCALING = Scaling(("a", "b"), np.array([2.0, 20.0]), np.array([1.0, 10.0]))


def test_mean_and_deviation_are_those_of_each_training_part() -> None:
    scaling = fit_scaling(PANEL, TRAIN)
    assert scaling.ids == ("a", "b")
    assert scaling.mean.tolist() == [2, 20]
    assert scaling.deviation.tolist() == [1, 10]


def test_what_comes_behind_the_training_part_changes_no_scaling() -> None:
    other = panel_of(a=[1, 3, 7], b=[10, 30, 10, 30, 50])
    first, second = fit_scaling(PANEL, TRAIN), fit_scaling(other, TRAIN)
    assert first.mean.tolist() == second.mean.tolist()
    assert first.deviation.tolist() == second.deviation.tolist()


def test_each_series_is_brought_to_mean_0_and_deviation_1() -> None:
    assert SCALING.scale(PANEL).values.tolist() == [-1, 1, 98, -1, 1, -1, 1, -101.9]


def test_answers_come_back_in_the_scale_of_their_series() -> None:
    answers = np.array([[0.0, 1.0], [0.0, 1.0], [-1.0, 2.0]])
    assert SCALING.unscale(PANEL, np.array([0, 1, 1]), answers).tolist() == [[2, 3], [20, 30], [10, 40]]


def test_a_series_is_known_by_its_name_and_not_by_its_place() -> None:
    panel = panel_of(b=[20, 30])
    assert SCALING.scale(panel).values.tolist() == [0, 1]
    assert SCALING.unscale(panel, np.array([0]), np.array([[2.0]])).tolist() == [[40]]


def test_a_series_unknown_to_the_scaling_is_scaled_by_its_own_values() -> None:
    panel = panel_of(a=[2, 3], new=[100, 104])
    assert SCALING.scale(panel).values.tolist() == [0, 1, -1, 1]
    assert SCALING.unscale(panel, np.array([1]), np.array([[3.0]])).tolist() == [[108]]


def test_a_constant_unknown_series_is_only_shifted() -> None:
    panel = panel_of(new=[7, 7, 7])
    assert SCALING.scale(panel).values.tolist() == [0, 0, 0]
    assert SCALING.unscale(panel, np.array([0]), np.array([[1.5]])).tolist() == [[8.5]]


def test_without_scaling_everything_stays_as_it_is() -> None:
    assert UNSCALED.scale(PANEL) is PANEL
    answers = np.array([[1.0]])
    assert UNSCALED.unscale(PANEL, np.array([0]), answers) is answers


numbers = arrays(np.float64, st.integers(2, 20), elements=st.floats(-1e6, 1e6).map(lambda x: round(x, 3)))


@given(numbers.filter(lambda values: np.ptp(values[:2]) > 0))
def test_unscaling_undoes_scaling(values: np.ndarray) -> None:
    panel = one_series("a", values)
    scaling = fit_scaling(panel, np.array([2]))
    answers = scaling.scale(panel).values[None]  # [1, S]
    np.testing.assert_allclose(scaling.unscale(panel, np.array([0]), answers)[0], values, rtol=1e-9, atol=1e-9)


def test_a_constant_training_part_is_refused_with_its_series_and_value() -> None:
    refuse_constant_series(PANEL, TRAIN)
    panel = panel_of(a=[1, 2, 3], b=[4, 4, 5])
    refuse_constant_series(panel, np.array([3, 6]))
    with pytest.raises(InputError, match="series 'b' is constant: all 2 points of its training part are 4;"):
        refuse_constant_series(panel, np.array([3, 5]))

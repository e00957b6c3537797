"""Windows as indices: they stay inside one series and one part, and have at least one observed target."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data import windows
from models.data.panel import Panel, one_series
from models.data.windows import (
    actual_values,
    contexts,
    forecast_recursively,
    origins_within,
    refuse_short_past,
    target_windows,
)
from models.errors import InputError
from tests.support.panels import panel_of

NAN = float("nan")


def origins_of(panel: Panel, length: int, horizon: int) -> list[int]:
    return origins_within(panel, panel.starts, panel.ends, length, horizon).tolist()


# Origins


def test_every_point_with_enough_values_before_it_is_an_origin() -> None:
    assert origins_of(one_series("a", np.arange(6.0)), 2, 1) == [2, 3, 4, 5]


def test_a_longer_horizon_ends_the_origins_earlier() -> None:
    assert origins_of(one_series("a", np.arange(6.0)), 2, 3) == [2, 3]


def test_a_window_never_crosses_into_another_series() -> None:
    panel = panel_of([0, 1, 2, 3, 4], [10, 11, 12, 13])  # points 0 to 4, and 5 to 8
    assert origins_of(panel, 2, 1) == [2, 3, 4, 7, 8]
    assert origins_of(panel, 2, 2) == [2, 3, 7]


def test_a_series_too_short_for_a_window_has_no_origin() -> None:
    panel = panel_of([0, 1, 2], [10], [20, 21, 22, 23])
    assert origins_of(panel, 3, 1) == [7]
    assert origins_of(panel, 9, 1) == []


def test_the_context_of_a_later_part_may_reach_into_the_part_before() -> None:
    panel = one_series("a", np.arange(10.0))
    assert origins_within(panel, np.array([6]), np.array([9]), 4, 2).tolist() == [6, 7]


def test_an_origin_has_at_least_one_observed_target() -> None:
    panel = panel_of([0, 1, 2, NAN, NAN, 5, 6])
    assert origins_of(panel, 1, 1) == [1, 2, 5, 6]
    assert origins_of(panel, 1, 2) == [1, 2, 4, 5]  # the targets of origin 3, points 3 and 4, are both missing
    assert origins_of(panel, 1, 3) == [1, 2, 3, 4]


series = st.lists(st.one_of(st.just(float("nan")), st.integers(0, 99).map(float)), min_size=1, max_size=30)
panels = st.lists(series.map(lambda values: [1.0, *values]), min_size=1, max_size=4).map(lambda lists: panel_of(*lists))


@given(panel=panels, length=st.integers(1, 6), horizon=st.integers(1, 4), data=st.data())
def test_every_window_inside_one_series_and_part_is_found_and_no_other(
    panel: Panel, length: int, horizon: int, data: st.DataObject
) -> None:
    sizes = panel.ends - panel.starts
    begin = panel.starts + np.array([data.draw(st.integers(0, int(n))) for n in sizes])
    end = begin + np.array([data.draw(st.integers(0, int(n))) for n in panel.ends - begin])
    origins = set(origins_within(panel, begin, end, length, horizon).tolist())
    for origin in range(len(panel.values) + 1):
        fits = any(
            origin - length >= start and first <= origin and origin + horizon <= last
            for start, first, last in zip(panel.starts, begin, end, strict=True)
        )
        assert (origin in origins) == (fits and bool(panel.observed[origin : origin + horizon].any()))


# Contexts and targets


def test_a_context_ends_before_its_origin_and_its_targets_begin_there() -> None:
    values = np.arange(8.0)
    origins = np.array([3, 5])
    assert np.concatenate(list(contexts(values, origins, 3))).tolist() == [[0, 1, 2], [2, 3, 4]]
    assert target_windows(values, origins, 2).tolist() == [[3, 4], [5, 6]]


def test_contexts_in_chunks_are_the_same_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    values, origins = np.random.default_rng(0).normal(size=50), np.arange(4, 50, 3)  # 16 origins
    whole = list(contexts(values, origins, 4))
    monkeypatch.setattr(windows, "CHUNK", 20)
    parts = list(contexts(values, origins, 4))
    assert [len(part) for part in parts] == [5, 5, 5, 1]
    np.testing.assert_array_equal(np.concatenate(parts), np.concatenate(whole))


def test_contexts_longer_than_a_chunk_come_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "CHUNK", 2)
    assert [part.tolist() for part in contexts(np.arange(5.0), np.array([3, 4]), 3)] == [[[0, 1, 2]], [[1, 2, 3]]]


def test_without_origins_even_a_short_series_gives_empty_arrays() -> None:
    none = np.empty(0, np.int64)
    assert list(contexts(np.arange(3.0), none, 5)) == []
    assert target_windows(np.arange(3.0), none, 5).shape == (0, 5)


def test_actual_values_are_nan_where_nothing_was_observed_and_after_the_end_of_the_series() -> None:
    panel = panel_of([0, 1, NAN, 3], [10, 11, 12])  # points 0 to 3, and 4 to 6
    actual = actual_values(panel, np.array([1, 2, 4, 5, 7]), 2)  # 4 and 7 are the ends
    np.testing.assert_array_equal(actual, [[1, NAN], [NAN, 3], [NAN, NAN], [11, 12], [NAN, NAN]])


def test_actual_values_end_where_a_part_ends() -> None:
    panel = panel_of([0, 1, 2, 3], [10, 11, 12])
    actual = actual_values(panel, np.array([1, 2, 5]), 2, ends=np.array([3, 6]))
    np.testing.assert_array_equal(actual, [[1, 2], [2, NAN], [11, NAN]])


def test_a_series_with_fewer_values_before_an_origin_than_a_window_is_named() -> None:
    panel = panel_of([0, 1, 2, 3], [10, 11, 12])
    refuse_short_past(panel, np.array([4, 3, 7]), 3)
    with pytest.raises(InputError, match="series 's1' has 3 values, but the model reads the last 4; give more rows"):
        refuse_short_past(panel, panel.ends, 4)
    with pytest.raises(InputError, match="series 's0' has 2 values, but the model reads the last 3; give more rows"):
        refuse_short_past(panel, np.array([4, 2]), 3)


# Recursion


def sum_plus_step(horizon: int) -> Callable[[np.ndarray, int], np.ndarray]:
    """A model that forecasts the window's sum, the sum plus 1, the sum plus 2, ..."""
    return lambda window, _: window.sum(axis=1, keepdims=True) + np.arange(horizon)


def test_forecasts_of_one_step_are_fed_back() -> None:
    path = forecast_recursively(sum_plus_step(1), np.array([[1.0, 2.0], [0.0, 1.0]]), 5)
    assert path.tolist() == [[3, 5, 8, 13, 21], [1, 2, 3, 5, 8]]  # Fibonacci's numbers


def test_forecasts_of_three_steps_are_fed_back_and_cut_to_the_steps_asked_for() -> None:
    start = np.array([[1.0, 2.0]])
    assert forecast_recursively(sum_plus_step(3), start, 3).tolist() == [[3, 4, 5]]
    seven = forecast_recursively(sum_plus_step(3), start, 7)
    assert seven.tolist() == [[3, 4, 5, 9, 10, 11, 21]]  # 4 + 5 = 9, 10 + 11 = 21
    assert forecast_recursively(sum_plus_step(3), start, 2).tolist() == [[3, 4]]


def test_a_horizon_longer_than_the_window_replaces_it_entirely() -> None:
    assert forecast_recursively(sum_plus_step(3), np.array([[1.0]]), 5).tolist() == [[1, 2, 3, 3, 4]]


def test_a_model_gets_the_number_of_steps_already_forecast() -> None:
    path = forecast_recursively(lambda window, done: np.full((len(window), 3), done), np.zeros((1, 2)), 7)
    assert path.tolist() == [[0, 0, 0, 3, 3, 3, 6]]


def test_no_steps_give_an_empty_path() -> None:
    assert forecast_recursively(sum_plus_step(1), np.ones((4, 2)), 0).shape == (4, 0)

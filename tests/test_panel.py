"""From a long table to a regular panel: what is corrected, what is noted, and what is refused."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.panel import Panel, one_series, panel_from_frame
from models.errors import InputError
from tests.support.panels import cut_short

NAN = float("nan")


def table(ds: Any, y: Any, ids: Any = "a") -> pd.DataFrame:
    return pd.DataFrame({"unique_id": ids, "ds": ds, "y": y})


def days(*numbers: int) -> pd.DatetimeIndex:
    return pd.DatetimeIndex([f"2020-01-{number:02d}" for number in numbers])


def two_series() -> Panel:
    """`a` at 5, 6, 7 and `b` at 0 to 4."""
    panel, notes = panel_from_frame(table([5, 6, 7, 0, 1, 2, 3, 4], np.arange(8.0), list("aaabbbbb")), "error")
    assert notes == []
    return panel


def test_a_regular_table_is_taken_as_it_is() -> None:
    panel, notes = panel_from_frame(table(days(1, 2, 3), [4.0, 5.0, 6.0]), "error")
    assert panel.ids == ("a",)
    assert panel.values.tolist() == [4, 5, 6]
    assert panel.observed.all()
    assert str(panel.step) == "D"
    assert notes == []


def test_series_of_different_length_and_start_lie_end_to_end() -> None:
    panel = two_series()
    assert panel.ids == ("a", "b")
    assert panel.offsets.tolist() == [0, 3, 8]
    assert panel.starts.tolist() == [0, 3]
    assert panel.ends.tolist() == [3, 8]
    assert panel.first == (5, 0)
    assert panel.all_times().tolist() == [5, 6, 7, 0, 1, 2, 3, 4]


def test_a_point_belongs_to_the_series_that_owns_it() -> None:
    assert two_series().series_of(np.arange(8)).tolist() == [0, 0, 0, 1, 1, 1, 1, 1]


def test_times_go_on_beyond_the_end_of_a_series() -> None:
    panel = two_series()
    assert panel.times(0, 2, 3).tolist() == [7, 8, 9]
    assert panel.times(1, 0, 2).tolist() == [0, 1]


def test_a_panel_cut_short_keeps_the_points_before_the_ends() -> None:
    cut = cut_short(two_series(), np.array([2, 7]))
    assert cut.offsets.tolist() == [0, 2, 6]
    assert cut.values.tolist() == [0, 1, 3, 4, 5, 6]
    assert cut.all_times().tolist() == [5, 6, 0, 1, 2, 3]


def test_selected_series_have_the_order_asked_for() -> None:
    panel = two_series().select(np.array([1, 0]))
    assert panel.ids == ("b", "a")
    assert panel.offsets.tolist() == [0, 5, 8]
    assert panel.values.tolist() == [3, 4, 5, 6, 7, 0, 1, 2]
    assert panel.all_times().tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert two_series().select(np.array([0])).values.tolist() == [0, 1, 2]
    assert len(two_series().select(np.array([], int)).values) == 0


def test_short_series_are_padded_in_front_with_their_first_value_which_was_not_observed() -> None:
    panel = two_series().padded(np.array([5, 4]))
    assert panel.offsets.tolist() == [0, 5, 10]
    assert panel.values.tolist() == [0, 0, 0, 1, 2, 3, 4, 5, 6, 7]
    assert panel.observed.tolist() == [False, False, *[True] * 8]
    assert panel.first == (3, 0)
    assert panel.all_times().tolist() == [3, 4, 5, 6, 7, 0, 1, 2, 3, 4]


def test_a_panel_that_is_long_enough_is_not_padded() -> None:
    panel = two_series()
    assert panel.padded(np.array([3, 5])) is panel


@pytest.mark.parametrize("frequency", ["h", "D", "7D", "B", "MS", "ME", "QE-DEC", "YS-JAN"])
@pytest.mark.parametrize("least", [4, 5, 17])
def test_padding_keeps_the_times_of_the_true_points(frequency: str, least: int) -> None:
    times = pd.date_range("2024-02-29", periods=9, freq=frequency)
    frame = table(times.append(times[5:]), np.arange(13.0), list("aaaaaaaaabbbb"))
    panel, _ = panel_from_frame(frame, "error")
    padded = panel.padded(np.array([least, least]))
    assert (padded.ends - padded.starts).tolist() == [max(9, least), max(4, least)]
    assert (padded.all_times()[padded.observed] == panel.all_times()).all()
    assert padded.values[padded.observed].tolist() == panel.values.tolist()


def test_padding_to_before_the_year_1_is_refused() -> None:
    panel, _ = panel_from_frame(table(np.array(["0001-01-02", "0001-01-03"], "datetime64[us]"), [1.0, 2.0]), "error")
    assert panel.padded(np.array([3])).first == (np.datetime64("0001-01-01"),)
    with pytest.raises(InputError, match=r"no time lies 2 steps of D before 0001-01-02.*--window\.short leave_out"):
        panel.padded(np.array([4]))


@given(st.lists(st.integers(1, 5), min_size=2, max_size=2), st.floats(-1e9, 1e9))
def test_no_value_after_an_end_changes_a_panel_cut_short(lengths: list[int], value: float) -> None:
    panel = two_series()
    ends = panel.starts + np.minimum(lengths, [3, 5])
    later = np.concatenate([np.arange(ends[0], 3), np.arange(ends[1], 8)])
    changed = panel.values.copy()
    changed[later] = value
    assert cut_short(panel.with_values(changed), ends).values.tolist() == cut_short(panel, ends).values.tolist()


def test_one_series_is_observed_throughout_at_the_times_from_0_on() -> None:
    panel = one_series("wave", np.array([3.0, 4.0]))
    assert panel.ids == ("wave",)
    assert panel.all_times().tolist() == [0, 1]
    assert panel.observed.tolist() == [True, True]


def test_a_panel_with_other_values_leaves_the_first_unchanged() -> None:
    panel = two_series()
    assert panel.with_values(panel.values * 2).values.tolist() == [0, 2, 4, 6, 8, 10, 12, 14]
    assert panel.values.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]


# Order


def test_rows_out_of_order_are_sorted_with_a_note() -> None:
    panel, notes = panel_from_frame(table([3, 1, 2, 4], [30.0, 10.0, 20.0, 40.0]), "error")
    assert panel.values.tolist() == [10, 20, 30, 40]
    assert notes == ["sorted the rows by time: 1 of 4 came after a later one"]


def test_in_a_table_backwards_in_time_every_row_but_one_comes_after_a_later_one() -> None:
    panel, notes = panel_from_frame(table(days(4, 3, 2, 1), [4.0, 3.0, 2.0, 1.0]), "error")
    assert panel.values.tolist() == [1, 2, 3, 4]
    assert notes == ["sorted the rows by time: 3 of 4 came after a later one"]


def test_interleaved_series_are_in_order_and_need_no_note() -> None:
    panel, notes = panel_from_frame(table([0, 0, 1, 1], [1.0, 10.0, 2.0, 20.0], list("baba")), "error")
    assert panel.ids == ("a", "b")
    assert panel.values.tolist() == [10, 20, 1, 2]
    assert notes == []


@given(st.permutations(range(8)))
def test_the_order_of_the_rows_does_not_matter(order: list[int]) -> None:
    frame = table([0, 1, 2, 3, 4, 0, 1, 2], np.arange(8.0), list("aaaaabbb"))
    panel, _ = panel_from_frame(frame.iloc[order], "error")
    assert panel.ids == ("a", "b")
    assert panel.values.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]


# Gaps


@pytest.mark.parametrize(("fill", "middle", "end"), [("last", [1, 1, 1], 5), ("linear", [2, 3, 4], 5)])
def test_missing_rows_and_missing_values_are_filled_and_counted(fill: Any, middle: list[float], end: float) -> None:
    panel, notes = panel_from_frame(table([0, 1, 3, 4, 5], [1.0, NAN, NAN, 5.0, NAN]), fill)
    assert panel.values.tolist() == [1, *middle, 5, end]
    assert panel.observed.tolist() == [True, False, False, False, True, False]
    assert len(notes) == 1
    assert notes[0].startswith("filled 4 of 6 values that were missing")
    assert notes[0].endswith(f"(series.fill={fill})")


def test_no_series_is_filled_from_another() -> None:
    frame = table([0, 1, 2, 0, 1, 2], [1.0, 1.0, NAN, 9.0, NAN, 11.0], list("aaabbb"))
    assert panel_from_frame(frame, "last")[0].values.tolist() == [1, 1, 1, 9, 9, 11]
    assert panel_from_frame(frame, "linear")[0].values.tolist() == [1, 1, 1, 9, 10, 11]


def test_a_gap_is_refused_if_fill_is_error() -> None:
    with pytest.raises(InputError, match=r"series 'a' has no value at 2020-01-03\S* \(2 are missing in all\)"):
        panel_from_frame(table(days(1, 2, 4, 5), [1.0, 2.0, 4.0, NAN]), "error")


@pytest.mark.parametrize("fill", ["last", "linear", "error"])
def test_rows_before_the_first_value_are_left_out_with_a_note(fill: Any) -> None:
    frame = table([0, 1, 2, 3, 0, 1], [NAN, NAN, 7.0, 8.0, NAN, 5.0], list("aaaabb"))
    panel, notes = panel_from_frame(frame, fill)
    assert panel.values.tolist() == [7, 8, 5]
    assert panel.first == (2, 1)
    assert panel.observed.all()
    assert notes == ["left out 3 of 6 rows, which come before the first value of their series"]


def test_a_series_without_a_value_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="series 'b' has no value at all; remove it"):
        panel_from_frame(table([0, 1, 0, 1], [1.0, 2.0, NAN, NAN], list("aabb")), "last")


@pytest.mark.parametrize(
    ("frequency", "missing", "step"),
    [("MS", "2020-05-01", "MS"), ("W-SUN", "2020-02-02", "7D"), ("B", "2020-01-07", "B"), ("h", "2020-01-01T04", "h")],
)
def test_a_missing_timestamp_is_added_by_its_calendar(frequency: str, missing: str, step: str) -> None:
    times = pd.date_range("2020-01-01", periods=10, freq=frequency)
    gap = list(times).index(pd.Timestamp(missing))
    panel, notes = panel_from_frame(table(times.delete(gap), np.delete(np.arange(10.0), gap)), "linear")
    assert str(panel.step) == str(step)
    np.testing.assert_allclose(panel.values, np.arange(10), atol=1e-12)
    assert np.flatnonzero(~panel.observed).tolist() == [gap]
    assert (panel.all_times() == times.to_numpy()).all()
    assert notes[0].startswith("filled 1 of 10 values")


def test_integer_times_may_have_a_step_of_five() -> None:
    panel, _ = panel_from_frame(table([100, 105, 115], [1.0, 2.0, 4.0]), "linear")
    assert str(panel.step) == "5"
    assert panel.values.tolist() == [1, 2, 3, 4]
    assert panel.times(0, 0, 6).tolist() == [100, 105, 110, 115, 120, 125]


def test_a_far_outlier_in_time_is_refused_before_memory_is_filled() -> None:
    with pytest.raises(InputError, match=r"3 of the 1000000000001 times between 0 and 1000000000000"):
        panel_from_frame(table([0, 1, 10**12], [1.0, 2.0, 3.0]), "last")


# Short series


def test_a_series_may_have_one_or_two_rows() -> None:
    panel, _ = panel_from_frame(table([0, 7, 9], [1.0, 2.0, 3.0], list("abb")), "last")
    assert panel.offsets.tolist() == [0, 1, 3]
    assert str(panel.step) == "2"
    assert panel_from_frame(table([4], [1.0]), "last")[0].all_times().tolist() == [4]


def test_a_single_timestamp_is_refused_as_its_step_is_unknown() -> None:
    with pytest.raises(InputError, match="only one time"):
        panel_from_frame(table(days(1), [1.0]), "last")


# Types


@pytest.mark.parametrize("kind", ["int8", "int32", "uint8", "uint64", "Int64"])
def test_integer_times_of_every_width_are_the_same(kind: str) -> None:
    panel, _ = panel_from_frame(table(pd.Series([2, 1, 0]).astype(kind), [3.0, 2.0, 1.0]), "error")
    assert panel.values.tolist() == [1, 2, 3]
    assert panel.all_times().dtype == np.int64
    assert panel.all_times().tolist() == [0, 1, 2]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_of_every_unit_are_the_same(unit: str) -> None:
    panel, _ = panel_from_frame(table(days(1, 2, 3).as_unit(unit), [1.0, 2.0, 3.0]), "error")
    assert str(panel.step) == "D"
    assert (panel.all_times() == days(1, 2, 3).to_numpy()).all()


@pytest.mark.parametrize("kind", ["int64", "float32", "object", "Int64", "Float64"])
def test_values_of_every_numeric_type_are_the_same(kind: str) -> None:
    panel, _ = panel_from_frame(table([0, 1, 2], pd.Series([1, 2, 3]).astype(kind)), "error")
    assert panel.values.dtype == np.float64
    assert panel.values.tolist() == [1, 2, 3]


def test_a_number_and_its_text_name_the_same_series() -> None:
    ids = pd.Series([1, "1", "b", "b"], dtype=object)
    panel, _ = panel_from_frame(table([0, 1, 0, 1], np.arange(4.0), ids), "error")
    assert panel.ids == ("1", "b")
    assert panel.offsets.tolist() == [0, 2, 4]


def test_categories_are_names_in_the_order_of_names() -> None:
    ids = pd.Categorical(list("bbaa"), categories=["z", "b", "a"])
    panel, _ = panel_from_frame(table([0, 1, 0, 1], [3.0, 4.0, 1.0, 2.0], ids), "error")
    assert panel.ids == ("a", "b")
    assert panel.values.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("year", [1, 1700, 9999])
def test_years_out_of_the_range_of_nanoseconds_are_read(year: int) -> None:
    times = np.array([f"{year:04d}-12-30", f"{year:04d}-12-31"], "datetime64[us]")
    panel, _ = panel_from_frame(table(times, [1.0, 2.0]), "error")
    assert (panel.all_times() == times).all()
    if year < 9999:
        assert len(panel.times(0, 1, 100)) == 100


# Refusals


def refusal(frame: pd.DataFrame) -> str:
    with pytest.raises(InputError) as caught:
        panel_from_frame(frame, "last")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_doubled_times_are_refused_with_series_time_and_row() -> None:
    message = refusal(table(days(1, 2, 1, 2, 2), np.zeros(5), list("aabbb")))
    assert "series 'b' has the time 2020-01-02 00:00:00 twice (row 5)" in message
    assert "--series.id" in message


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinities_are_refused_with_their_row(value: float) -> None:
    assert f"row 2: the value {value} is not finite" in refusal(table([0, 1], [1.0, value]))


def test_irregular_times_are_refused() -> None:
    assert "12 comes after 10, but the usual step is 5" in refusal(table([0, 5, 10, 12], np.zeros(4)))


REFUSED = {
    "no column": (pd.DataFrame({"unique_id": ["a"], "ds": [1]}), "no column 'y'"),
    "no rows": (table([], []), "no rows"),
    "no name": (table([0, 1], [1.0, 2.0], ["a", None]), "row 2 has no unique_id"),
    "no timestamp": (table([pd.Timestamp(2020, 1, 1), pd.NaT], [1.0, 2.0]), "row 2 has no ds"),
    "no integer": (table(pd.array([1, None], dtype="Int64"), [1.0, 2.0]), "row 2 has no ds"),
    "text as time": (table(["2020-01-01", "2020-01-02"], [1.0, 2.0]), "column ds holds"),
    "a zone": (table(days(1, 2).tz_localize("Europe/Paris"), [1.0, 2.0]), "without a zone"),
    "fractions as times": (table([0.0, 0.5], [1.0, 2.0]), "column ds holds float64"),
    "truth as time": (table([False, True], [1.0, 2.0]), "column ds holds bool"),
    "durations": (table(pd.to_timedelta([0, 1], unit="h"), [1.0, 2.0]), "column ds holds timedelta64"),
    "text as value": (table([0, 1], ["1", "x"]), "more than numbers"),
    "too small": (table([-(2**63), 0], [1.0, 2.0]), "row 1: the time -9223372036854775808 is too far away"),
    "too large": (table(np.array([0, 2**64 - 1], "uint64"), [1.0, 2.0]), "row 2: the time 18446744073709551615"),
    "year 36812": (table(np.array([0, 2**40], "datetime64[s]"), [1.0, 2.0]), "row 2: the time 36812-02-20"),
    "nanoseconds": (table(np.array([0, 100], "datetime64[ns]"), [1.0, 2.0]), "too fine; round it to microseconds"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_table_that_is_no_panel_is_refused_in_one_line(case: str) -> None:
    frame, message = REFUSED[case]
    assert message in refusal(frame)

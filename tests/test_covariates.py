"""Covariates: read beside the values, filled, known ahead or not, and never seen too early."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.covariates import CovariateNames, Covariates
from models.data.panel import Panel, one_series, panel_from_frame
from models.errors import InputError
from tests.support.panels import cut_short

NAN = float("nan")
ALL = CovariateNames(past=("temp",), known=("sale",), static=("size",))


def table(**changes: Any) -> pd.DataFrame:
    """`a` at 0 to 3 with rows for 4 and 5 ahead, `b` at 7 and 8 with one for 9."""
    columns = {
        "unique_id": list("aaaaaabbb"),
        "ds": [0, 1, 2, 3, 4, 5, 7, 8, 9],
        "y": [10.0, 11, 12, 13, NAN, NAN, 20, 21, NAN],
        "temp": [1.0, 2, 3, 4, NAN, NAN, 5, 6, 7],
        "sale": [0.0, 1, 0, 1, 0, 1, 1, 1, 0],
        "size": [50.0] * 6 + [70] * 3,
    }
    return pd.DataFrame(columns | changes)


def read(frame: pd.DataFrame, names: CovariateNames = ALL, fill: Any = "last") -> Panel:
    return panel_from_frame(frame, fill, names)[0]


def covariates(panel: Panel) -> Covariates:
    assert panel.covariates is not None
    return panel.covariates


def refusal(frame: pd.DataFrame, names: CovariateNames = ALL, fill: Any = "last") -> str:
    with pytest.raises(InputError) as caught:
        panel_from_frame(frame, fill, names)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_static_covariates_come_first_then_known_ones_then_past_ones() -> None:
    three = covariates(read(table()))
    assert three.names == ("size", "sale", "temp")
    assert (three.n_static, three.n_known) == (1, 2)
    assert three.values.dtype == np.float32
    np.testing.assert_array_equal(three.values[3:5], [[50, 1, 4], [70, 1, 5]])


def test_rows_after_the_last_value_are_ahead_and_not_points() -> None:
    panel, notes = panel_from_frame(table(), "last", ALL)
    assert panel.values.tolist() == [10, 11, 12, 13, 20, 21]
    assert panel.observed.all()
    assert panel.offsets.tolist() == [0, 4, 6]
    np.testing.assert_array_equal(covariates(panel).ahead[0], [[50, 0, NAN], [50, 1, NAN]])
    np.testing.assert_array_equal(covariates(panel).ahead[1], [[70, 0, NAN]])  # the temperature is not known ahead
    assert notes == ["took 3 of 9 rows, which come after the last value of their series, as future rows"]


def test_without_known_covariates_missing_values_at_the_end_are_filled() -> None:
    panel, notes = panel_from_frame(table(temp=np.arange(9.0)), "last", CovariateNames(past=("temp",)))
    assert panel.values.tolist() == [10, 11, 12, 13, 13, 13, 20, 21, 21]
    assert [len(rows) for rows in covariates(panel).ahead] == [0, 0]
    assert notes == ["filled 3 of 9 values that were missing with the last value before (series.fill=last)"]


def test_future_rows_are_no_gap_if_gaps_are_an_error() -> None:
    assert len(read(table(), fill="error").values) == 6


def test_without_covariates_a_panel_has_none_and_its_rows_are_empty() -> None:
    panel = read(table(), CovariateNames())
    assert panel.covariates is None
    assert panel.covariates_of(0, 2, 9).shape == (9, 0)
    assert one_series("wave", np.arange(3.0)).covariates is None


def test_the_order_of_the_rows_does_not_matter() -> None:
    forward, backward = covariates(read(table())), covariates(read(table()[::-1]))
    np.testing.assert_array_equal(forward.values, backward.values)
    np.testing.assert_array_equal(forward.ahead[0], backward.ahead[0])


def test_rows_before_the_first_value_are_left_out_with_their_covariates() -> None:
    panel = read(table(y=[NAN, 11, 12, 13, NAN, NAN, 20, 21, NAN]))
    assert panel.first == (1, 7)
    assert covariates(panel).values[:, 2].tolist() == [2, 3, 4, 5, 6]
    assert len(covariates(panel).ahead[0]) == 2


@pytest.mark.parametrize("kind", ["int8", "float64", "Int64", "Float32", "bool", "boolean", "object", "category"])
def test_numbers_of_every_type_are_the_same(kind: str) -> None:
    sale = pd.Series([0, 1, 0, 1, 0, 1, 1, 1, 0]).astype(kind)
    assert covariates(read(table(sale=sale))).values[:, 1].tolist() == [0, 1, 0, 1, 1, 1]


# Gaps


def test_missing_cells_are_filled_with_the_previous_number_or_the_next_and_counted() -> None:
    frame = table(temp=[NAN, NAN, 3, NAN, NAN, NAN, NAN, 6, NAN], sale=[0.0, NAN, 1, 1, 0, 1, 1, 1, 0])
    panel, notes = panel_from_frame(frame, "last", ALL)
    assert covariates(panel).values[:, 2].tolist() == [3, 3, 3, 3, 6, 6]  # none from another series
    assert covariates(panel).values[:, 1].tolist() == [0, 0, 1, 1, 1, 1]
    assert panel.observed.all()
    assert notes[-1] == "filled 5 of 12 covariate numbers, which were missing, with the previous one or the next"


def test_missing_rows_are_filled_like_missing_cells() -> None:
    panel, notes = panel_from_frame(table().drop(index=[1, 2]), "linear", ALL)
    assert panel.values.tolist() == [10, 11, 12, 13, 20, 21]
    np.testing.assert_array_equal(covariates(panel).values[:4], [[50, 0, 1], [50, 0, 1], [50, 0, 1], [50, 1, 4]])
    assert notes[-1].startswith("filled 4 of 12 covariate numbers")


def test_missing_cells_are_refused_if_fill_is_error() -> None:
    message = refusal(table(temp=[1, 2, NAN, NAN, NAN, NAN, 5, 6, 7]), fill="error")
    assert message.startswith("series 'a' has no 'temp' at 2 (2 covariate numbers are missing in all); fill it in")


@given(st.lists(st.sampled_from([NAN, 1.0, 2.0, 3.0]), min_size=12, max_size=12))
def test_gaps_are_filled_as_pandas_fills_each_series(numbers: list[float]) -> None:
    temp = pd.Series(numbers, dtype=float)
    temp[[2, 7]] = [8, 9]  # one at least in each series
    ids = pd.Series(list("aaaaabbbbbbb"))
    frame = pd.DataFrame({"unique_id": ids, "ds": np.arange(12), "y": 0.0, "temp": temp})
    expected = temp.groupby(ids).ffill().groupby(ids).bfill()
    assert covariates(read(frame, CovariateNames(past=("temp",)))).values[:, 0].tolist() == expected.tolist()


def test_gaps_ahead_stay_and_are_refused_when_a_forecast_needs_them() -> None:
    frame = table(sale=[0, 1, 0, 1, NAN, 1, 1, 1, 0], ds=[0, 1, 2, 3, 4, 6, 7, 8, 9])  # nothing at 4, no row at 5
    panel = read(frame, fill="error")
    np.testing.assert_array_equal(covariates(panel).ahead[0], [[50, NAN, NAN], [50, NAN, NAN], [50, 1, NAN]])
    with pytest.raises(InputError, match=r"series 'a' has no 'sale' at 4, .*; give rows up to 6 without a value"):
        panel.covariates_of(0, 2, 5)
    assert panel.covariates_of(0, 6, 1).tolist() == [[50, 1, 4]]


# Rows of a series


def test_rows_continue_beyond_the_end_by_the_kind_of_covariate() -> None:
    panel = read(table())
    assert panel.covariates_of(0, 2, 4).tolist() == [[50, 0, 3], [50, 1, 4], [50, 0, 4], [50, 1, 4]]
    assert panel.covariates_of(1, 0, 3).tolist() == [[70, 1, 5], [70, 1, 6], [70, 0, 6]]
    assert panel.covariates_of(0, 5, 1).tolist() == [[50, 1, 4]]
    assert panel.covariates_of(0, 1, 2).tolist() == [[50, 1, 2], [50, 0, 3]]


def test_static_and_past_covariates_keep_their_last_number() -> None:
    panel = read(table(), CovariateNames(past=("temp",), static=("size",)), fill="last")
    assert panel.covariates_of(1, 2, 50).tolist() == [[70, 7]] * 50


@pytest.mark.parametrize("begin", [0, 4, 6, 40])
def test_a_missing_known_covariate_is_asked_for_up_to_the_last_time_needed(begin: int) -> None:
    with pytest.raises(InputError) as caught:
        read(table()).covariates_of(0, begin, 8)
    assert str(caught.value) == (
        f"series 'a' has no 'sale' at {max(begin, 6)}, where the forecast needs it; "
        f"give rows up to {begin + 7} without a value but with 'sale'"
    )


# Parts of a panel


def test_a_panel_cut_short_keeps_known_covariates_ahead_but_not_past_ones() -> None:
    cut = cut_short(read(table()), np.array([2, 5]))
    np.testing.assert_array_equal(covariates(cut).ahead[0], [[50, 0, NAN], [50, 1, NAN], [50, 0, NAN], [50, 1, NAN]])
    assert cut.covariates_of(0, 1, 5).tolist() == [[50, 1, 2], [50, 0, 2], [50, 1, 2], [50, 0, 2], [50, 1, 2]]
    assert cut.covariates_of(1, 0, 3).tolist() == [[70, 1, 5], [70, 1, 5], [70, 0, 5]]


def test_a_panel_cut_twice_is_the_same_as_cut_once() -> None:
    panel = read(table())
    twice = cut_short(cut_short(panel, np.array([3, 6])), np.array([1, 4]))
    once = cut_short(panel, np.array([1, 5]))
    assert twice.values.tolist() == once.values.tolist()
    np.testing.assert_array_equal(covariates(twice).values, covariates(once).values)
    for one, other in zip(covariates(twice).ahead, covariates(once).ahead, strict=True):
        np.testing.assert_array_equal(one, other)


@given(end=st.integers(1, 4), value=st.floats(-1e6, 1e6), temp=st.floats(-1e6, 1e6))
def test_no_value_and_no_past_covariate_after_an_end_changes_a_panel_cut_short(
    end: int, value: float, temp: float
) -> None:
    changed = table()
    changed.loc[end:3, "y"] = value
    changed.loc[end:5, "temp"] = temp
    cut = [cut_short(read(frame), np.array([end, 6])) for frame in (table(), changed)]
    assert cut[0].values.tolist() == cut[1].values.tolist()
    np.testing.assert_array_equal(covariates(cut[0]).values, covariates(cut[1]).values)
    np.testing.assert_array_equal(covariates(cut[0]).ahead[0], covariates(cut[1]).ahead[0])


def test_selected_series_keep_their_covariates() -> None:
    panel = read(table()).select(np.array([1, 0]))
    assert panel.covariates_of(0, 0, 3).tolist() == [[70, 1, 5], [70, 1, 6], [70, 0, 6]]
    assert panel.covariates_of(1, 3, 3).tolist() == [[50, 1, 4], [50, 0, 4], [50, 1, 4]]


def test_padding_repeats_the_first_row_of_covariates() -> None:
    panel = read(table()).padded(np.array([4, 4]))
    assert covariates(panel).values[4:].tolist() == [[70, 1, 5], [70, 1, 5], [70, 1, 5], [70, 1, 6]]
    assert panel.covariates_of(1, 3, 2).tolist() == [[70, 1, 6], [70, 0, 6]]


def test_a_panel_with_other_values_keeps_its_covariates() -> None:
    panel = read(table())
    assert panel.with_values(panel.values * 2).covariates is panel.covariates


# Refusals


def test_a_static_covariate_may_be_given_in_one_row_of_a_series() -> None:
    frame = table(size=[NAN, NAN, NAN, NAN, NAN, 50, 70, NAN, NAN])
    panel, notes = panel_from_frame(frame, "error", ALL)
    assert covariates(panel).values[:, 0].tolist() == [50, 50, 50, 50, 70, 70]
    assert covariates(panel).ahead[0][:, 0].tolist() == [50, 50]
    assert len(notes) == 1  # on the future rows


REFUSED = {
    "static changes": ({"size": [50.0] * 6 + [70, 70, 71.5]}, "series 'b' has both 70.0 and 71.5 in 'size'"),
    "static nowhere": ({"size": [50.0] * 6 + [NAN] * 3}, "series 'b' has no number in 'size'; fill it in"),
    "past nowhere": ({"temp": [1.0] * 6 + [NAN, NAN, 7]}, "series 'b' has no number in 'temp' up to its last value"),
    "known nowhere": ({"sale": [NAN] * 5 + [1.0] * 4}, "series 'a' has no number in 'sale' up to its last value"),
    "infinite": ({"temp": [1.0, -np.inf] + [1.0] * 7}, "column 'temp' has -inf in row 2, which is not finite"),
    "too large": ({"sale": [1.0] * 8 + [1e300]}, "column 'sale' has 1e+300 in row 9, which is not finite in 32 bits"),
    "text": ({"temp": ["1", "2", "warm"] + ["4"] * 6}, "column 'temp' has 'warm' in row 3, which is not a number"),
    "text for nan": ({"temp": ["1", "nan"] + ["4"] * 7}, "column 'temp' has 'nan' in row 2, which is not a number"),
    "timestamps": ({"temp": pd.date_range("2020", periods=9)}, "column 'temp' has '2020-01-01 00:00:00' in row 1"),
    "durations": ({"temp": pd.to_timedelta(np.arange(9), unit="h")}, "column 'temp' has '0 days 00:00:00' in row 1"),
    "off the grid": ({"ds": [0, 4, 8, 12, 16, 21, 0, 4, 8]}, "21 comes after 16"),
    "far ahead": ({"ds": [0, 1, 2, 3, 4, 10**12, 0, 1, 2]}, "too few"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_column_that_is_no_covariate_is_refused_in_one_line(case: str) -> None:
    changes, message = REFUSED[case]
    assert message in refusal(table(**changes))


def test_a_missing_column_is_refused_by_name() -> None:
    assert "the table has no column 'sale', which is a covariate; add it" in refusal(table().drop(columns="sale"))

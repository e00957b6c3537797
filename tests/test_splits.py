"""Parts in time order, and what becomes of series that are too short for them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.panel import Panel, one_series, panel_from_frame
from models.data.splits import split_for_windows, split_panel
from models.errors import InputError
from models.specs import SplitSpec, WindowSpec


def panel_of(*series: list[float]) -> Panel:
    """Series named s0, s1, ... at the times 0, 1, 2, ..."""
    tables = [
        pd.DataFrame({"unique_id": f"s{n}", "ds": np.arange(len(values)), "y": np.array(values, float)})
        for n, values in enumerate(series)
    ]
    return panel_from_frame(pd.concat(tables), "last")[0]


# Parts


def ends(spec: SplitSpec, *lengths: int) -> list[list[int]]:
    parts = split_panel(panel_of(*([1.0] * n for n in lengths)), spec)
    return [part.tolist() for part in (parts.train, parts.validation, parts.test)]


def test_shares_are_cut_from_each_series() -> None:
    assert ends(SplitSpec(validation=0.2, test=0.1), 10, 20) == [[7, 10 + 14], [9, 10 + 18], [10, 30]]


def test_points_are_the_same_number_of_each_series() -> None:
    assert ends(SplitSpec(validation=3, test=1), 10, 20) == [[6, 26], [9, 29], [10, 30]]


def test_a_share_is_rounded_down_and_the_rest_goes_to_training() -> None:
    assert ends(SplitSpec(validation=0.15, test=0.15), 19) == [[15], [17], [19]]


def test_what_training_leaves_is_unused_where_training_is_given() -> None:
    assert ends(SplitSpec(train=4, validation=3, test=1), 10) == [[4], [7], [8]]
    assert ends(SplitSpec(train=0.5, validation=0.1, test=0), 10) == [[5], [6], [6]]


@given(percent=st.integers(1, 99), length=st.integers(100, 10_000))
def test_a_share_in_percent_is_not_a_point_short(percent: int, length: int) -> None:
    validation = length * percent // 100  # 29 % of 100 are 29, although 0.29 * 100 is a bit less
    train = length - validation
    parts = split_panel(one_series("a", np.empty(length)), SplitSpec(validation=percent / 100, test=0))
    assert [parts.train[0], parts.validation[0], parts.test[0]] == [train, length, length]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (SplitSpec(validation=6, test=4), "'s1' has 10 points: too few for a validation part of 6 and a test part"),
        (
            SplitSpec(validation=0.5, test=0.5),
            "validation part of 10 and a test part of 10 behind a training part of",
        ),
        (SplitSpec(train=8, validation=2, test=1), "test part of 1 behind a training part of 8; make --split.train"),
        (SplitSpec(train=1e300), "'s0' has 20 points"),
    ],
)
def test_parts_larger_than_a_series_are_refused_with_its_name(spec: SplitSpec, said: str) -> None:
    with pytest.raises(InputError) as caught:
        ends(spec, 20, 10)
    assert said in str(caught.value)


# Series too short for a window

SPLIT = SplitSpec(validation=2, test=2)


def counting(*lengths: int) -> Panel:
    """Series that count 1, 2, 3, ..., so many points each."""
    return panel_of(*([float(value) for value in range(1, length + 1)] for length in lengths))


def window(short: str, length: int = 4, horizon: int = 1) -> WindowSpec:
    return WindowSpec.model_validate({"length": length, "horizon": horizon, "short": short})


def test_series_with_room_stay_as_they_are() -> None:
    panel = counting(9, 12)  # 5 points to train on are 4 to read and 1 to forecast
    for short in ("error", "leave_out", "pad"):
        kept, parts, notes = split_for_windows(panel, SPLIT, window(short))
        assert (kept.ids, kept.values.tolist(), notes) == (panel.ids, panel.values.tolist(), [])
        assert [part.tolist() for part in (parts.train, parts.validation, parts.test)] == [[5, 17], [7, 19], [9, 21]]


@pytest.mark.parametrize(
    ("lengths", "horizon", "said"),
    [
        ((9, 8), 1, "series 's1' is too short: its training part has 4 points, which hold no window of 4 values and 1"),
        ((20, 20), 3, "series 's0' is too short: its validation part has 2 points, which hold no window of 4 values"),
        ((9, 4), 1, "series 's1' has 4 points: too few for a validation part of 2 and a test part of 2"),
    ],
)
def test_a_series_too_short_is_refused_with_its_name_and_part(lengths: list[int], horizon: int, said: str) -> None:
    with pytest.raises(InputError) as caught:
        split_for_windows(counting(*lengths), SPLIT, window("error", horizon=horizon))
    assert said in str(caught.value)


def test_what_is_too_short_is_padded_in_front_with_its_first_value_which_is_no_target() -> None:
    panel, parts, notes = split_for_windows(counting(9, 6), SPLIT, window("pad"))  # the second has 2 points to train on
    assert panel.values[9:].tolist() == [1, 1, 1, 1, 2, 3, 4, 5, 6]
    assert panel.observed[9:].tolist() == [False] * 3 + [True] * 6
    assert panel.first == (0, -3)
    assert [part.tolist() for part in (parts.train, parts.validation, parts.test)] == [[5, 14], [7, 16], [9, 18]]
    assert notes == ["repeated the first value of 1 of 2 series in front"]


def test_padding_gives_no_points_to_a_validation_part_that_is_too_short() -> None:
    panel, parts, notes = split_for_windows(counting(20), SPLIT, window("pad", horizon=3))
    assert (len(panel.values), parts.validation[0] - parts.train[0]) == (20, 2)
    assert notes == []


def test_shares_are_those_of_the_series_before_it_is_padded() -> None:
    split = SplitSpec(validation=0.2, test=0.2)
    panel, parts, _ = split_for_windows(counting(10), split, window("pad", length=20))
    assert (parts.train[0], parts.validation[0], parts.test[0]) == (21, 23, 25)
    assert len(panel.values) == 25


def test_what_is_too_short_is_left_out_and_named() -> None:
    panel, parts, notes = split_for_windows(counting(9, 8, 12, 3), SPLIT, window("leave_out"))
    assert panel.ids == ("s0", "s2")
    assert parts.train.tolist() == [5, 9 + 8]
    assert notes == ["left out 2 of 4 series, too short for a window or constant: s1, s3"]


def test_a_series_shorter_than_its_training_part_is_left_out() -> None:
    panel, parts, notes = split_for_windows(
        counting(40, 6, 5), SplitSpec(train=30, validation=2, test=2), window("leave_out")
    )
    assert (panel.ids, parts.train.tolist()) == (("s0",), [30])
    assert notes == ["left out 2 of 3 series, too short for a window or constant: s1, s2"]


def test_a_series_with_gaps_alone_behind_its_first_window_is_refused_or_left_out() -> None:
    panel = panel_of([1.0, 2, 3, 4] + [np.nan] * 3 + [8, 9], [float(value) for value in range(9)])
    split = SplitSpec(validation=1, test=1)  # 7 points to train on, the first 4 of them to read
    with pytest.raises(InputError, match="series 's0' has no value to learn behind the first 4 points of its training"):
        split_for_windows(panel, split, window("error"))
    kept, _, notes = split_for_windows(panel, split, window("leave_out"))
    assert kept.ids == ("s1",)
    assert notes[0].endswith(": s0")
    assert split_for_windows(panel, split, window("error", length=3))[0].ids == ("s0", "s1")


def test_of_many_that_are_left_out_five_are_named() -> None:
    _, _, (note,) = split_for_windows(counting(9, *[3] * 7), SPLIT, window("leave_out"))
    assert note.endswith("left out 7 of 8 series, too short for a window or constant: s1, s2, s3, s4, s5 and 2 more")


def test_where_nothing_is_left_there_is_an_error() -> None:
    with pytest.raises(InputError, match="all 2 series are too short for windows of 4 values and 1 to forecast"):
        split_for_windows(counting(8, 3), SPLIT, window("leave_out"))


def test_a_constant_training_part_is_an_error_or_left_out_or_kept() -> None:
    panel = panel_of([1.0] * 7 + [2.0] * 3, [float(value) for value in range(10)])
    with pytest.raises(InputError, match="series 's0' is constant"):
        split_for_windows(panel, SplitSpec(validation=2, test=1), window("error"))
    kept, _, notes = split_for_windows(panel, SplitSpec(validation=2, test=1), window("leave_out"))
    assert kept.ids == ("s1",)
    assert notes == ["left out 1 of 2 series, too short for a window or constant: s0"]
    assert split_for_windows(panel, SplitSpec(validation=2, test=1), window("pad"))[0].ids == ("s0", "s1")

"""Parts in time order, and what happens to series that are too short for them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.panel import Panel, one_series
from models.data.splits import Split, split_for_windows, split_panel
from models.errors import InputError
from models.specs import SplitSpec, WindowSpec
from tests.support.panels import panel_of

# Parts


def ends(spec: SplitSpec, *lengths: int) -> list[list[int]]:
    return part_ends(split_panel(panel_of(*([1.0] * n for n in lengths)), spec))


def part_ends(split: Split) -> list[list[int]]:
    return [ends.tolist() for ends in (split.train, split.validation, split.test)]


def test_shares_are_cut_from_each_series() -> None:
    assert ends(SplitSpec(validation=0.2, test=0.1), 10, 20) == [[7, 10 + 14], [9, 10 + 18], [10, 30]]


def test_a_number_of_points_is_the_same_for_each_series() -> None:
    assert ends(SplitSpec(validation=3, test=1), 10, 20) == [[6, 26], [9, 29], [10, 30]]


def test_a_share_is_rounded_down_and_the_rest_goes_to_training() -> None:
    assert ends(SplitSpec(validation=0.15, test=0.15), 19) == [[15], [17], [19]]


def test_points_after_the_parts_are_unused_if_the_training_part_is_given() -> None:
    assert ends(SplitSpec(train=4, validation=3, test=1), 10) == [[4], [7], [8]]
    assert ends(SplitSpec(train=0.5, validation=0.1, test=0), 10) == [[5], [6], [6]]


@given(percent=st.integers(1, 99), length=st.integers(100, 10_000))
def test_a_share_in_percent_is_not_a_point_short(percent: int, length: int) -> None:
    validation = length * percent // 100  # 29 % of 100 are 29, although 0.29 * 100 is a bit less
    train = length - validation
    split = split_panel(one_series("a", np.empty(length)), SplitSpec(validation=percent / 100, test=0))
    assert part_ends(split) == [[train], [length], [length]]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (SplitSpec(validation=6, test=4), "'s1' has 10 points: too few for a validation part of 6 and a test part"),
        (
            SplitSpec(validation=0.5, test=0.5),
            "validation part of 10 and a test part of 10 after a training part of",
        ),
        (SplitSpec(train=8, validation=2, test=1), "test part of 1 after a training part of 8; make --split.train"),
        (SplitSpec(train=1e300), "'s0' has 20 points"),
    ],
)
def test_parts_larger_than_a_series_are_refused_with_its_name(spec: SplitSpec, message: str) -> None:
    with pytest.raises(InputError) as caught:
        ends(spec, 20, 10)
    assert message in str(caught.value)


# Series too short for a window

SPLIT = SplitSpec(validation=2, test=2)


def counting(*lengths: int) -> Panel:
    """Series of these lengths that count 1, 2, 3, ..."""
    return panel_of(*([float(value) for value in range(1, length + 1)] for length in lengths))


def window(short: str, length: int = 4, horizon: int = 1) -> WindowSpec:
    return WindowSpec.model_validate({"length": length, "horizon": horizon, "short": short})


def test_series_with_room_for_a_window_stay_as_they_are() -> None:
    panel = counting(9, 12)  # 5 points to train on are 4 to read and 1 to forecast
    for short in ("error", "leave_out", "pad"):
        kept, split, notes = split_for_windows(panel, SPLIT, window(short))
        assert (kept.ids, kept.values.tolist(), notes) == (panel.ids, panel.values.tolist(), [])
        assert part_ends(split) == [[5, 17], [7, 19], [9, 21]]


@pytest.mark.parametrize(
    ("lengths", "horizon", "message"),
    [
        ((9, 8), 1, "series 's1' is too short: its training part has 4 points, which hold no window of 4 values and 1"),
        ((20, 20), 3, "series 's0' is too short: its validation part has 2 points, which hold no window of 4 values"),
        ((9, 4), 1, "series 's1' has 4 points: too few for a validation part of 2 and a test part of 2"),
    ],
)
def test_a_series_too_short_is_refused_with_its_name_and_part(lengths: list[int], horizon: int, message: str) -> None:
    with pytest.raises(InputError) as caught:
        split_for_windows(counting(*lengths), SPLIT, window("error", horizon=horizon))
    assert message in str(caught.value)


def test_a_series_too_short_is_padded_in_front_with_its_first_value_which_is_no_target() -> None:
    panel, split, notes = split_for_windows(counting(9, 6), SPLIT, window("pad"))  # the second has 2 points to train on
    assert panel.values[9:].tolist() == [1, 1, 1, 1, 2, 3, 4, 5, 6]
    assert panel.observed[9:].tolist() == [False] * 3 + [True] * 6
    assert panel.first == (0, -3)
    assert part_ends(split) == [[5, 14], [7, 16], [9, 18]]
    assert notes == ["repeated the first value of 1 of 2 series in front"]


def test_padding_adds_no_points_to_a_validation_part_that_is_too_short() -> None:
    panel, split, notes = split_for_windows(counting(20), SPLIT, window("pad", horizon=3))
    assert (len(panel.values), split.validation[0] - split.train[0]) == (20, 2)
    assert notes == []


def test_shares_are_taken_of_the_series_before_it_is_padded() -> None:
    spec = SplitSpec(validation=0.2, test=0.2)
    panel, split, _ = split_for_windows(counting(10), spec, window("pad", length=20))
    assert part_ends(split) == [[21], [23], [25]]
    assert len(panel.values) == 25


def test_series_too_short_are_left_out_and_named() -> None:
    panel, split, notes = split_for_windows(counting(9, 8, 12, 3), SPLIT, window("leave_out"))
    assert panel.ids == ("s0", "s2")
    assert split.train.tolist() == [5, 9 + 8]
    assert notes == ["left out 2 of 4 series, too short for a window or constant: s1, s3"]


def test_a_series_shorter_than_its_training_part_is_left_out() -> None:
    spec = SplitSpec(train=30, validation=2, test=2)
    panel, split, notes = split_for_windows(counting(40, 6, 5), spec, window("leave_out"))
    assert (panel.ids, split.train.tolist()) == (("s0",), [30])
    assert notes == ["left out 2 of 3 series, too short for a window or constant: s1, s2"]


def test_a_series_with_nothing_but_gaps_after_its_first_window_is_refused_or_left_out() -> None:
    panel = panel_of([1.0, 2, 3, 4] + [np.nan] * 3 + [8, 9], [float(value) for value in range(9)])
    spec = SplitSpec(validation=1, test=1)  # 7 points to train on, the first 4 of them to read
    with pytest.raises(InputError, match="series 's0' has no value to learn after the first 4 points of its training"):
        split_for_windows(panel, spec, window("error"))
    kept, _, notes = split_for_windows(panel, spec, window("leave_out"))
    assert kept.ids == ("s1",)
    assert notes[0].endswith(": s0")
    assert split_for_windows(panel, spec, window("error", length=3))[0].ids == ("s0", "s1")


def test_of_many_series_left_out_five_are_named() -> None:
    _, _, (note,) = split_for_windows(counting(9, *[3] * 7), SPLIT, window("leave_out"))
    assert note.endswith("left out 7 of 8 series, too short for a window or constant: s1, s2, s3, s4, s5 and 2 more")


def test_it_is_an_error_to_leave_out_all_series() -> None:
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

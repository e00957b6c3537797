"""The step of a time axis: inferred, counted along, and continued."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.frequency import infer_step
from models.data.step_names import parse_step
from models.errors import InputError

GRIDS = {  # alias in pandas, inferred step, points of one season
    "15min": ("15min", 96),
    "30min": ("30min", 48),
    "h": ("h", 24),
    "36h": ("36h", 1),
    "90s": ("90s", 1),
    "D": ("D", 7),
    "B": ("B", 5),
    "W-WED": ("7D", 52),
    "MS": ("MS", 12),
    "ME": ("ME", 12),
    "2MS": ("2MS", 6),
    "QS-JAN": ("3MS", 4),
    "QS-FEB": ("3MS", 4),
    "QE-DEC": ("3ME", 4),
    "YS-JAN": ("12MS", 1),
    "YS-APR": ("12MS", 1),
    "YE-DEC": ("12ME", 1),
    "5MS": ("5MS", 1),
}


def stamps(*texts: str) -> np.ndarray:
    return np.array(texts, dtype="datetime64[us]")


def grid(frequency: str, count: int = 24) -> np.ndarray:
    return pd.date_range("2021-03-01 06:00", periods=count, freq=frequency).to_numpy("datetime64[us]")


def step_of(*series_times: np.ndarray) -> str:
    return str(infer_step(list(series_times), [f"series{n}" for n in range(len(series_times))]))


@pytest.mark.parametrize("frequency", GRIDS)
def test_the_step_of_a_complete_axis_is_found(frequency: str) -> None:
    assert step_of(grid(frequency)) == GRIDS[frequency][0]


@pytest.mark.parametrize("frequency", GRIDS)
def test_the_step_of_an_axis_with_gaps_is_found(frequency: str) -> None:
    times = np.delete(grid(frequency), [4, 9, 10])
    assert step_of(times) == GRIDS[frequency][0]
    assert parse_step(GRIDS[frequency][0]).positions(times).tolist() == [n for n in range(24) if n not in (4, 9, 10)]


@pytest.mark.parametrize("frequency", GRIDS)
def test_each_step_has_its_default_season(frequency: str) -> None:
    step, season = GRIDS[frequency]
    assert parse_step(step).season == season


def test_integer_times_have_no_default_season() -> None:
    assert parse_step("1").season == parse_step("24").season == 1


@pytest.mark.parametrize(("times", "step"), [([3, 4, 5, 7], 1), ([0, 5, 15, 20], 5), ([-7, -5, -3], 2), ([9], 1)])
def test_the_step_of_integers_is_their_most_common_gap(times: list[int], step: int) -> None:
    assert step_of(np.array(times)) == str(step)


def test_the_step_of_integers_far_apart_is_found_in_little_memory() -> None:
    assert step_of(np.array([0, 10**15, 2 * 10**15])) == str(10**15)


def test_a_series_with_gaps_follows_the_step_of_a_complete_one() -> None:
    whole, sparse = np.arange(10), np.array([3, 5, 6])
    assert step_of(whole, sparse) == "1"


def test_a_series_of_one_row_follows_the_step_of_the_others() -> None:
    assert step_of(stamps("2020-05-05"), stamps("2020-01-01", "2020-01-02")) == "D"


def test_three_months_of_31_and_30_days_are_months_and_not_days() -> None:
    assert step_of(stamps("2021-07-01", "2021-08-01", "2021-09-01")) == "MS"  # 31 days, twice
    assert step_of(stamps("2021-01-01", "2022-01-01", "2023-01-01")) == "12MS"  # 365 days, twice
    assert step_of(stamps("2021-07-02", "2021-08-02", "2021-09-02")) == "MS+1D"
    assert step_of(stamps("2021-06-29", "2021-07-30", "2021-08-30")) == "31D"  # on no calendar


def test_every_second_month_is_a_step_of_two_months_without_gaps() -> None:
    times = stamps("2020-01-01", "2020-03-01", "2020-05-01", "2020-07-01", "2020-09-01")
    assert step_of(times) == "2MS"
    assert parse_step("2MS").positions(times).tolist() == [0, 1, 2, 3, 4]


def test_positions_count_the_steps_from_the_first_time() -> None:
    assert parse_step("ME").positions(stamps("2020-01-31", "2020-02-29", "2020-04-30")).tolist() == [0, 1, 3]
    assert parse_step("B").positions(stamps("2020-01-03", "2020-01-06", "2020-01-08")).tolist() == [
        0,
        1,
        3,
    ]  # Friday to Wednesday
    assert parse_step("h").positions(stamps("2020-01-01", "2020-01-01T02")).tolist() == [0, 2]
    assert parse_step("5").positions(np.array([10, 15, 30])).tolist() == [0, 1, 4]


def test_times_continue_beyond_the_end() -> None:
    assert parse_step("5").times(np.int64(10), 4).tolist() == [10, 15, 20, 25]
    months = parse_step("ME").times(np.datetime64("2023-12-31", "us"), 4)
    assert (months == stamps("2023-12-31", "2024-01-31", "2024-02-29", "2024-03-31")).all()
    workdays = parse_step("B").times(np.datetime64("2020-01-03T09:30", "us"), 3)
    assert (workdays == stamps("2020-01-03T09:30", "2020-01-06T09:30", "2020-01-07T09:30")).all()


@pytest.mark.parametrize(
    ("first", "step", "count", "expected"),
    [
        ("2024-03-01T06:00", "90s", 4, "2024-03-01T05:54"),
        ("2024-03-01", "D", 1, "2024-02-29"),
        ("2024-03-01", "7D", 2, "2024-02-16"),
        ("2024-03-01T06:00", "MS", 3, "2023-12-01T06:00"),
        ("2024-03-31", "ME", 1, "2024-02-29"),
        ("2024-02-29T12:00", "ME", 12, "2023-02-28T12:00"),
        ("2024-06-30", "3ME", 2, "2023-12-31"),
        ("2024-06-01", "12MS", 2, "2022-06-01"),
        ("2024-03-04T09:30", "B", 1, "2024-03-01T09:30"),  # from Monday to Friday
        ("2024-03-04", "B", 6, "2024-02-23"),
        ("2024-03-04", "B", 0, "2024-03-04"),
    ],
)
def test_a_time_before_the_first_is_found(first: str, step: str, count: int, expected: str) -> None:
    assert parse_step(step).time_before(np.datetime64(first, "us"), count) == np.datetime64(expected)


def test_an_integer_before_the_first_is_exact() -> None:
    assert parse_step("5").time_before(np.int64(10), 3) == -5
    assert parse_step("1").time_before(np.int64(2**61 + 1), 1) == 2**61


@given(step=st.sampled_from(["90s", "h", "D", "7D", "B", "MS", "ME", "3MS", "12ME", "5"]), count=st.integers(0, 300))
def test_the_grid_from_an_earlier_time_leads_back_to_the_first(step: str, count: int) -> None:
    first = np.datetime64({"ME": "2024-02-29", "12ME": "2024-02-29"}.get(step, "2024-03-01"), "us")
    start, exact = np.int64(7) if step == "5" else first, parse_step(step)
    assert exact.times(exact.time_before(start, count), count + 1)[-1] == start


@pytest.mark.parametrize(("first", "step", "count"), [("0001-01-01", "MS", 1), ("2024-01-01", "5000D", 10**9)])
def test_no_time_lies_before_the_year_1(first: str, step: str, count: int) -> None:
    with pytest.raises(InputError, match=f"no time lies {count} steps of {step} before {first}"):
        parse_step(step).time_before(np.datetime64(first, "us"), count)
    with pytest.raises(InputError, match="no time lies"):
        parse_step("1").time_before(np.int64(-(2**62) + 1), 1)


@pytest.mark.parametrize(
    ("first", "step", "count"),
    [("9999-12-30", "D", 3), ("9999-12-01", "MS", 2), ("9999-06-30", "12ME", 2), ("2024-01-01", "3290350D", 10**9)],
)
def test_no_time_lies_after_the_year_9999(first: str, step: str, count: int) -> None:
    assert len(parse_step(step).times(np.datetime64(first, "us"), 1)) == 1
    with pytest.raises(InputError, match=f"no time lies {count - 1} steps of {step} after {first}"):
        parse_step(step).times(np.datetime64(first, "us"), count)
    with pytest.raises(InputError, match="no time lies 2 steps of 3 after"):
        parse_step("3").times(np.int64(2**62 - 5), 3)


def test_a_step_may_be_too_long_for_nanoseconds() -> None:
    times = np.array(["0001-01-01", "3001-01-01", "6001-01-01"], "datetime64[us]")
    step = infer_step([times], ["a"])
    assert step.positions(times).tolist() == [0, 1, 2]


@pytest.mark.parametrize("first", ["0001-01-01", "1700-01-01", "9988-01-01"])
@pytest.mark.parametrize("step", ["h", "D", "7D", "B", "MS", "12MS"])
def test_years_far_away_are_treated_like_others(first: str, step: str) -> None:
    offset = 3 if step == "B" else 0  # a working day in each of these years
    times = parse_step(step).times(np.datetime64(first, "us") + np.timedelta64(offset, "D"), 12)
    assert len(times) == 12
    assert parse_step(step).positions(times).tolist() == list(range(12))


@given(
    step=st.sampled_from(["15min", "h", "D", "7D", "B", "MS", "ME", "3MS", "12ME"]),
    kept=st.sets(st.integers(1, 60), min_size=1),
)
def test_positions_undo_times(step: str, kept: set[int]) -> None:
    first = {"ME": "2019-01-31", "12ME": "2019-01-31"}.get(step, "2019-01-01")
    indices = [0, *sorted(kept)]
    exact = parse_step(step)
    assert exact.positions(exact.times(np.datetime64(first, "us"), 61)[indices]).tolist() == indices


def test_an_irregular_series_is_refused_with_the_wrong_times() -> None:
    with pytest.raises(InputError, match=r"'series0' is irregular: 12 comes after 10, .* step is 5"):
        step_of(np.array([0, 5, 10, 12, 15]))
    with pytest.raises(InputError, match=r"2020-01-02T05:\S+ comes after 2020-01-02T00:\S+, .* step is D;.*resample"):
        step_of(stamps("2020-01-01", "2020-01-02", "2020-01-02T05", "2020-01-03", "2020-01-04"))


def test_times_of_day_that_change_are_irregular() -> None:
    with pytest.raises(InputError, match="irregular"):
        step_of(stamps("2020-01-01T00", "2020-02-01T00", "2020-03-01T05", "2020-04-01T00"))


def test_a_series_that_is_mostly_gaps_is_refused() -> None:
    half = np.array([0, 1, 2, 5])  # 4 of 6
    assert step_of(half) == "1"
    with pytest.raises(InputError, match="4 of the 9 times between 0 and 8 in steps of 1: too few"):
        step_of(np.array([0, 1, 2, 8]))
    with pytest.raises(InputError, match="3 of the 2932533 times between 1970-01-01"):
        step_of(stamps("1970-01-01", "1970-01-02", "9999-01-01"))


def test_single_timestamps_are_refused() -> None:
    with pytest.raises(InputError, match=r"'series0' has only one time, 2020-01-01.*give more rows"):
        step_of(stamps("2020-01-01"), stamps("2020-01-05"))

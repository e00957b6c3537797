"""The steps that people have: their names, their times, their seasons, and how each is told from the others."""

import numpy as np
import pandas as pd
import pytest

from models.data.frequency import infer_step, refuse_other_step
from models.data.panel import panel_from_frame
from models.data.step_names import parse_step
from models.errors import InputError


def stamps(*texts: str) -> np.ndarray:
    return np.array(texts, dtype="datetime64[us]")


def step_of(times: pd.DatetimeIndex) -> str:
    return str(infer_step([times.to_numpy("datetime64[us]")], ["a"]))


def days(count: int, *weekdays: int, start: str = "2024-01-01") -> pd.DatetimeIndex:
    """Return those days of the `count` from a Monday on that are such weekdays, Monday being 0."""
    every = pd.date_range(start, periods=count)
    return every[every.day_of_week.isin(weekdays)]


def hours(frequency: str, first: str, last: str, *weekdays: int, start: str = "2024-01-01") -> pd.DatetimeIndex:
    """Return the times of day from `first` to `last` in eight weeks, on such weekdays."""
    every = pd.date_range(start, periods=8 * 7 * 24 * 12, freq="5min").floor(frequency).unique()
    every = every[(every >= start) & every.day_of_week.isin(weekdays)]
    return every[every.indexer_between_time(first, last)]


@pytest.mark.parametrize(
    ("name", "first", "following", "season"),
    [
        ("BME", "2024-03-29", ["2024-04-30", "2024-05-31", "2024-06-28"], 12),
        ("BMS", "2024-05-01", ["2024-06-03", "2024-07-01"], 12),
        ("3BME", "2024-03-29", ["2024-06-28", "2024-09-30"], 4),
        ("MS+14D", "2024-01-15T08:00", ["2024-02-15T08:00", "2024-03-15T08:00"], 12),
        ("3MS+4D", "2023-11-05", ["2024-02-05", "2024-05-05"], 4),
        ("12ME", "2024-02-29", ["2025-02-28", "2026-02-28"], 1),
        ("Mon-Sat", "2024-03-01", ["2024-03-02", "2024-03-04"], 6),
        ("Mon,Wed,Fri", "2024-03-01T10:00", ["2024-03-04T10:00", "2024-03-06T10:00"], 3),
        ("B 09:30-15:30/h", "2024-03-01T14:30", ["2024-03-01T15:30", "2024-03-04T09:30"], 7),
        ("09:00-21:00/4h", "2024-03-01T17:00", ["2024-03-01T21:00", "2024-03-02T09:00"], 4),
        ("Mon-Sat 08:00-19:45/15min", "2024-03-02T19:45", ["2024-03-04T08:00", "2024-03-04T08:15"], 48),
    ],
)
def test_the_times_of_a_step_follow_each_other(name: str, first: str, following: list[str], season: int) -> None:
    step, times = parse_step(name), stamps(first, *following)
    assert str(step) == name
    assert step.season == season
    assert step.times(times[0], len(times)).tolist() == times.tolist()
    assert step.positions(times).tolist() == list(range(len(times)))
    assert step.time_before(times[-1], len(following)) == times[0]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("d", "D"), ("1D", "D"), ("60min", "h"), ("24h", "D"), ("W-SUN", "7D"), ("2W", "14D"), ("QS", "3MS"),
        ("QE-NOV", "3ME"), ("BQE-DEC", "3BME"), ("YE", "12ME"), ("YS-APR", "12MS"), ("BYE", "12BME"),
        ("mon-sat", "Mon-Sat"), ("Mon-Fri", "B"), ("Fri,Mon", "Mon,Fri"),
        ("B 09:30-15:30/60min", "B 09:30-15:30/h"), ("Mon-Sun", "Mon-Sun"),
        (" 5 ", "5"),
    ],
)  # fmt: skip
def test_a_step_may_have_several_names(given: str, name: str) -> None:
    assert str(parse_step(given)) == name


@pytest.mark.parametrize(
    "name",
    ["", "0", "-1", "x", "SME", "2B", "Mon", "Sat-Mon", "MS+28D", "ME+3D", "B 09:30-15:45/h", "B 15:30-09:30/h", "ns"],
)
def test_another_name_is_refused_with_examples(name: str) -> None:
    with pytest.raises(InputError, match=f"there is no step '{name}'; give one such as D, 15min".replace("+", r"\+")):
        parse_step(name)


@pytest.mark.parametrize(
    ("times", "name"),
    [
        (pd.date_range("2020-01-01", periods=30, freq="BME"), "BME"),
        (pd.date_range("2020-01-01", periods=30, freq="BMS"), "BMS"),
        (pd.date_range("2020-01-01", periods=12, freq="BQE-NOV"), "3BME"),
        (pd.date_range("2020-01-01", periods=30, freq="MS") + pd.Timedelta(14, "D"), "MS+14D"),
        (days(60, 0, 1, 2, 3, 4, 5), "Mon-Sat"),
        (days(60, 6, 0, 1, 2, 3), "Mon,Tue,Wed,Thu,Sun"),
        (days(60, 0, 2, 4), "Mon,Wed,Fri"),
        (days(60, 1, 3), "Tue,Thu"),
        (days(60, 0, 1, 2, 3, 4).delete([4, 17]), "B"),
        (hours("30min", "09:30", "16:00", 0, 1, 2, 3, 4), "B 09:30-16:00/30min"),
        (hours("h", "00:00", "23:00", 0, 1, 2, 3, 4), "B 00:00-23:00/h"),
        (hours("h", "08:00", "19:00", 0, 1, 2, 3, 4, 5, 6).delete([3, 100]), "08:00-19:00/h"),
        (hours("h", "00:00", "23:00", 0, 1, 2, 3, 4, 5, 6).delete([3, 100]), "h"),
        (pd.date_range("2024-01-01", periods=300, freq="15min").delete([7, 8]), "15min"),  # no weekend was skipped
        (days(14, 0, 1, 2, 3, 4, 5), "D"),  # two weeks do not show that Sundays are left out
    ],
)
def test_a_step_is_found_from_the_times(times: pd.DatetimeIndex, name: str) -> None:
    assert step_of(times) == name


def test_weeks_that_begin_a_day_late_once_are_irregular_and_the_message_says_what_to_do() -> None:
    times = pd.date_range("2024-01-05", periods=40, freq="7D").to_numpy("datetime64[us]").copy()
    times[20] -= np.timedelta64(1, "D")
    with pytest.raises(InputError, match=r"usual step is 7D; .*--series.step.*--series.step rows"):
        infer_step([times], ["a"])


@pytest.mark.parametrize(
    ("name", "times", "message"),
    [
        (
            "D",
            stamps("2024-01-01T00", "2024-01-01T01", "2024-01-01T02"),
            "in steps of h, and not of D; give rows of that step",
        ),
        ("D", stamps("2024-01-01", "2024-01-08", "2024-01-15"), "in steps of 7D, and not of D"),
        ("B", stamps("2024-01-05", "2024-01-06", "2024-01-07"), "in steps of D, and not of B"),
        ("MS", stamps("2024-01-31", "2024-02-29", "2024-03-31"), "in steps of ME, and not of MS"),
        ("D", np.array([1, 2, 3]), "the times are integers, but the step D is one of timestamps"),
        ("2", stamps("2024-01-01", "2024-01-02"), "the times are timestamps, but the step 2 is one of integers"),
        ("2", np.array([1, 2, 3]), "in steps of 1, and not of 2"),
    ],
)
def test_rows_of_another_step_are_refused_with_both_named(name: str, times: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        refuse_other_step(parse_step(name), [times], ["a"])


def test_the_step_of_a_model_decides_where_the_rows_alone_would_not() -> None:
    one = pd.DataFrame({"unique_id": "a", "ds": stamps("2024-03-01"), "y": [1.0]})
    week = pd.DataFrame({"unique_id": "a", "ds": days(5, 0, 1, 2, 3, 4), "y": 1.0})
    for frame, name, expected in (
        (one, "MS", "2024-04-01"),
        (one, "B", "2024-03-04"),
        (week, "D", "2024-01-06"),
        (week, "B", "2024-01-08"),
        (week, "Mon-Sat", "2024-01-06"),
    ):
        panel, _ = panel_from_frame(frame, "last", step=parse_step(name))
        assert panel.times(0, len(frame), 1)[0] == np.datetime64(expected)

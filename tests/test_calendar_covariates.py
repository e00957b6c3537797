"""The position of timestamps in their hour, day, week, month and year."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.calendar import calendar_covariates, calendar_names
from models.errors import InputError
from models.specs.data import MOMENTS

QUARTERS = [[0, 1], [1, 0], [0, -1], [-1, 0]]
"""Sine and cosine of the four quarters of a cycle."""


def stamps(*texts: str) -> np.ndarray:
    return np.array(texts, dtype="datetime64[us]")


def fraction(moment: str, *texts: str) -> np.ndarray:
    """How much of its cycle each time has completed, from its sine and cosine."""
    waves = calendar_covariates(stamps(*texts), [moment]).astype(float)
    return np.arctan2(waves[:, 0], waves[:, 1]) / (2 * np.pi) % 1


@pytest.mark.parametrize(
    ("moment", "times"),
    [
        ("minute", ["2020-05-05T07:00", "2020-05-05T07:15", "2020-05-05T07:30", "2020-05-05T07:45"]),
        ("hour", ["2020-05-05T00", "2020-05-05T06", "2020-05-05T12", "2020-05-05T18"]),
        ("day", ["2021-02-01", "2021-02-08", "2021-02-15", "2021-02-22"]),  # of 28 days
        ("month", ["2020-01-31", "2020-04-01", "2020-07-15", "2020-10-31"]),
    ],
)
def test_the_quarters_of_a_cycle_are_exact(moment: str, times: list[str]) -> None:
    np.testing.assert_allclose(calendar_covariates(stamps(*times), [moment]), QUARTERS, atol=1e-6)


def test_the_hour_includes_its_minutes_and_the_minute_its_seconds() -> None:
    np.testing.assert_allclose(fraction("hour", "2020-05-05T01:30"), 1.5 / 24, atol=1e-6)
    np.testing.assert_allclose(fraction("minute", "2020-05-05T01:30:36"), 30.6 / 60, atol=1e-6)


def test_a_week_begins_on_monday_and_changes_once_a_day() -> None:
    times = "2024-01-01T00", "2024-01-01T23", "2024-01-03", "2024-01-07"  # Monday twice, Wednesday, Sunday
    np.testing.assert_allclose(fraction("weekday", *times), [0, 0, 2 / 7, 6 / 7], atol=1e-6)


def test_the_day_is_a_fraction_of_its_own_month() -> None:
    times = "2020-02-29", "2021-02-28", "2020-04-30", "2020-12-31T23:59"
    np.testing.assert_allclose(fraction("day", *times), [28 / 29, 27 / 28, 29 / 30, 30 / 31], atol=1e-6)


@given(st.datetimes(pd.Timestamp(1, 1, 1), pd.Timestamp(9999, 11, 30)))
def test_every_moment_agrees_with_pandas(time: object) -> None:
    stamp = pd.Timestamp(time)  # type: ignore[arg-type]
    expected = {
        "minute": (stamp.minute + (stamp.second + stamp.microsecond / 1e6) / 60) / 60,
        "hour": (stamp.hour + (stamp.minute + (stamp.second + stamp.microsecond / 1e6) / 60) / 60) / 24,
        "weekday": stamp.weekday() / 7,
        "day": (stamp.day - 1) / stamp.days_in_month,
        "month": (stamp.month - 1) / 12,
    }
    angles = 2 * np.pi * np.array([expected[moment] for moment in MOMENTS])
    waves = calendar_covariates(np.array([time], "datetime64[us]"), MOMENTS)
    np.testing.assert_allclose(waves[0, 0::2], np.sin(angles), atol=1e-6)
    np.testing.assert_allclose(waves[0, 1::2], np.cos(angles), atol=1e-6)


@pytest.mark.parametrize("unit", ["D", "s", "ns"])
def test_timestamps_of_every_unit_are_the_same(unit: str) -> None:
    times = stamps("2020-03-04", "1969-12-31")
    np.testing.assert_array_equal(
        calendar_covariates(times.astype(f"M8[{unit}]"), MOMENTS), calendar_covariates(times, MOMENTS)
    )


def test_covariates_have_the_order_of_their_names() -> None:
    assert calendar_names(["hour", "month"]) == ("hour_sin", "hour_cos", "month_sin", "month_cos")
    waves = calendar_covariates(stamps("2020-04-01T12"), ["hour", "month"])
    assert waves.dtype == np.float32
    np.testing.assert_allclose(waves, [[0, -1, 1, 0]], atol=1e-6)


def test_integer_times_have_no_calendar() -> None:
    with pytest.raises(InputError) as caught:
        calendar_covariates(np.arange(3), ["hour", "day"])
    assert str(caught.value) == "--window.calendar hour,day needs timestamps, but the times are integers"
    assert calendar_covariates(np.arange(3), []).shape == (3, 0)

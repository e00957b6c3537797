"""Find the step that the times of some series follow."""

from collections.abc import Iterator

import numpy as np

from models.data.calendar_steps import BUSINESS_DAYS, MonthStep, SessionStep, WeekdayStep
from models.data.steps import DAY, MINUTE, ONE, FixedStep, IntegerStep, Step
from models.errors import InputError

LARGEST_GAP_SHARE = 0.5
"""Largest share of the times of a series that may be missing."""
SHORTEST_MONTH = 28 * DAY
"""The shortest step, in microseconds, that may be a month."""
FEWEST_WEEKS, FEWEST_DAYS = 3, 3
"""Least weeks, and days, from which the weekdays, and the hours, that a series leaves out are known."""
LARGEST_WEEK_GAP_SHARE = 0.2
"""Largest share of missing times of a series that leaves out some weekdays or hours."""


def infer_step(series_times: list[np.ndarray], names: list[str]) -> Step:
    """Return the one step that the times of every series follow.

    **Arguments:** `series_times`, the sorted, distinct times of each series (int64 or datetime64[us]), and their
    `names`.

    **Raises:** `InputError` if the times follow no common step, or if they are timestamps and no series has two.
    """
    gaps = np.concatenate([np.diff(times).astype(np.int64) for times in series_times])
    has_timestamps = series_times[0].dtype.kind == "M"
    if len(gaps) == 0:
        if not has_timestamps:
            return ONE
        raise InputError(
            f"series '{names[0]}' has only one time, {series_times[0][0]}, from which no step can be found; "
            "give more rows, or name it with --series.step"
        )
    common_gap = int(np.bincount(gaps).argmax()) if gaps.max() < 1_000_000 else _most_common(gaps)
    fixed = FixedStep(common_gap) if has_timestamps else IntegerStep(common_gap)
    if has_timestamps and (common_gap >= SHORTEST_MONTH or not (gaps == common_gap).all()):
        for step, gap_share in _calendar_steps(series_times, fixed):
            if _fault(step, series_times, names, gap_share) is None:
                return step
    if fault := _fault(fixed, series_times, names):
        raise InputError(fault)
    return fixed


def refuse_other_step(step: Step, series_times: list[np.ndarray], names: list[str]) -> None:
    """**Raises:** `InputError` if times do not follow this step; names the one that they do follow, if there is one."""
    if isinstance(step, IntegerStep) == (series_times[0].dtype.kind == "M"):
        kinds = ("timestamps", "integers") if isinstance(step, IntegerStep) else ("integers", "timestamps")
        raise InputError(f"the times are {kinds[0]}, but the step {step} is one of {kinds[1]}")
    fault = _fault(step, series_times, names)
    if fault is None:
        return
    try:
        other = infer_step(series_times, names)
    except InputError:
        raise InputError(fault) from None
    raise InputError(
        f"the rows follow each other in steps of {other}, and not of {step}; give rows of that step, or name another "
        "one with --series.step"
    )


def _fault(
    step: Step, series_times: list[np.ndarray], names: list[str], gap_share: float = LARGEST_GAP_SHARE
) -> str | None:
    """Say which series does not follow a step, and where, or has too few of its times; None if all follow it."""
    for times, name in zip(series_times, names, strict=True):
        positions = step.positions(times)
        off_grid = np.flatnonzero(positions < 0)
        if len(off_grid):
            n = off_grid[0]
            place = f"{times[n]} comes after {times[n - 1]}" if n else f"it begins at {times[0]}"
            return (
                f"series '{name}' is irregular: {place}, but the usual step is {step}; resample it to one step, name "
                "its step with --series.step, or number its rows with --series.step rows"
            )
        length = positions[-1] + 1
        if 1 - len(times) / length > gap_share:
            return (
                f"series '{name}' has {len(times)} of the {length} times between {times[0]} and {times[-1]} in steps "
                f"of {step}: too few; resample it, check that its time column is read as intended, name its step with "
                "--series.step, or number its rows with --series.step rows"
            )
    return None


def _calendar_steps(series_times: list[np.ndarray], fixed: Step) -> Iterator[tuple[Step, float]]:
    """Yield the steps of the calendar that the times may follow, the most usual ones first, and how much may miss."""
    times = np.concatenate(series_times)
    days = times.astype("datetime64[D]")
    months = [np.unique(series.astype("datetime64[M]").astype(np.int64)) for series in series_times]
    multiple = int(np.gcd.reduce(np.concatenate([np.diff(series) for series in months]))) or 1
    for day in ("first", "last"):
        yield MonthStep(multiple, day), LARGEST_GAP_SHARE
    yield from _steps_of_weeks(times, days, fixed)
    yield WeekdayStep(BUSINESS_DAYS), LARGEST_GAP_SHARE
    for day in ("last business", "first business"):
        yield MonthStep(multiple, day), LARGEST_GAP_SHARE
    day_of_month = int((days[0] - days[0].astype("datetime64[M]")).astype(np.int64)) + 1
    if day_of_month <= 28:
        yield MonthStep(multiple, day_of_month), LARGEST_GAP_SHARE


def _steps_of_weeks(times: np.ndarray, days: np.ndarray, fixed: Step) -> Iterator[tuple[Step, float]]:
    """Yield the steps that leave out some days of every week, or some hours of every day."""
    weekdays = (days.astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday
    week = tuple(bool((weekdays == n).any()) for n in range(7))
    has_weeks = np.ptp(days) >= np.timedelta64(7 * FEWEST_WEEKS, "D")
    if has_weeks and 1 < sum(week) < 7:
        yield WeekdayStep(week), LARGEST_WEEK_GAP_SHARE
    if not isinstance(fixed, FixedStep) or not fixed.is_shorter_than_day or len(np.unique(days)) < FEWEST_DAYS:
        return
    if not has_weeks:
        has_weekend = np.busday_count(days.min(), days.max(), weekmask="Sat Sun") > 0
        week = BUSINESS_DAYS if has_weekend and not any(week[5:]) else (True,) * 7
    since_midnight = (times - days).astype(np.int64)
    session = SessionStep(week, int(since_midnight.min()), int(since_midnight.max()), fixed.length)
    is_whole_day = session.season * fixed.length >= DAY
    if session.opening % MINUTE == 0 and session.season > 1 and not (is_whole_day and all(week)):
        yield session, LARGEST_WEEK_GAP_SHARE


def _most_common(gaps: np.ndarray) -> int:
    values, counts = np.unique(gaps, return_counts=True)
    return int(values[counts.argmax()])

"""The step of a time axis: inferring it, finding positions on its grid, and continuing the grid."""

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from models.errors import InputError

Step = int | str
"""An integer for integer times, a pandas offset alias ("7D", "MS", "3MS") for timestamps."""

CALENDARS = ("MS", "ME", "B")
"""Months by their first or their last day, and business days."""
SEASONS = {"D": 7, "B": 5, "7D": 52}
"""Steps of one season, by step; for shorter steps it is a day, for months a year."""
SHORTEST_OF_DAY = 300_000_000
"""The shortest step, in microseconds, whose season is a day: of five minutes."""
LARGEST_GAP_SHARE = 0.5
"""Largest share of the times of a series that may be missing."""
LARGEST_TIME = 2**62
"""Integer times must be smaller in size, so that the distance of two of them is an int64 too."""
FIRST_SECOND, LAST_SECOND = np.datetime64("0001-01-01T00:00:00"), np.datetime64("9999-12-31T23:59:59")
SHORTEST_MONTH = 28 * 86_400_000_000
"""The shortest step, in microseconds, that may be a month."""


def infer_step(series_times: list[np.ndarray], names: list[str]) -> Step:
    """Return the one step whose grid holds the times of every series.

    **Arguments:** `series_times`, the sorted, distinct times of each series (int64 or datetime64[us]), and their
    `names`.

    **Raises:** `InputError` if the times follow no common step, or if they are timestamps and no series has two.
    """
    gaps = np.concatenate([np.diff(times).astype(np.int64) for times in series_times])
    timestamps = series_times[0].dtype.kind == "M"
    if len(gaps) == 0:
        if not timestamps:
            return 1
        raise InputError(
            f"series '{names[0]}' has only one time, {series_times[0][0]}, from which no step can be found; "
            "give more rows"
        )
    common_gap = int(np.bincount(gaps).argmax()) if gaps.max() < 1_000_000 else _most_common(gaps)
    if not timestamps:
        _refuse_off_grid(series_times, names, common_gap)
        return common_gap
    if common_gap < SHORTEST_MONTH and (gaps == common_gap).all():
        return _alias(common_gap)
    calendar = _calendar_step(series_times)
    if calendar:
        return calendar
    _refuse_off_grid(series_times, names, common_gap)
    return _alias(common_gap)


def positions(times: np.ndarray, step: Step) -> np.ndarray:
    """Return the position of each of the sorted `times` on the grid that starts at the first one: int64, from 0."""
    if isinstance(step, int):
        return (times - times[0]) // step
    multiple, unit = _split_alias(step)
    if unit in CALENDARS:
        indices = _calendar_indices(times, unit)
        return (indices - indices[0]) // multiple
    return (times - times[0]).astype(np.int64) // _microseconds(step)


def times_from(first: np.generic, step: Step, count: int) -> np.ndarray:
    """Return the `count` times of the grid that starts at `first`, which is included.

    **Raises:** `InputError` if the grid would leave the range of times.
    """
    if isinstance(step, int):
        too_late = int(first) + step * (count - 1) >= LARGEST_TIME
    else:
        last = _timestamps_before(np.array([first], "datetime64[us]"), step, 1 - count)
        too_late = bool((last > LAST_SECOND).any())
    if too_late:
        raise InputError(
            f"no time lies {count - 1} steps of {step} after {first}; forecast fewer steps, or check the time column"
        )
    if isinstance(step, int):
        return np.asarray(np.int64(first) + step * np.arange(count))
    grid = pd.date_range(pd.Timestamp(first), periods=count, freq=step)  # type: ignore[arg-type]  # datetime64 here
    return np.asarray(grid.to_numpy("datetime64[us]"))


def time_before(first: np.generic, step: Step, count: int) -> np.generic:
    """Return the time that lies `count` steps before `first`.

    **Raises:** `InputError` if the grid would leave the range of times.
    """
    if isinstance(step, int):
        number = int(first) - step * count
        if number > -LARGEST_TIME:
            return np.int64(number)
    else:
        time = _timestamps_before(np.array([first], "datetime64[us]"), step, count)
        if (time >= FIRST_SECOND).all():
            return time[0]
    raise InputError(
        f"no time lies {count} steps of {step} before {first}, where the series would have to begin; "
        "leave short series out with --window.short leave_out"
    )


def _timestamps_before(times: np.ndarray, step: str, count: int) -> np.ndarray:
    """Return the timestamps `count` steps before each of `times`, or after it if `count` is negative."""
    multiple, unit = _split_alias(step)
    if unit not in CALENDARS:
        distance = max(-(2**62), min(_microseconds(step) * count, 2**62))
        return np.asarray(times - np.timedelta64(distance, "us"))
    day = times.astype("datetime64[D]")
    if unit == "B":
        return np.asarray(np.busday_offset(day, -count) + (times - day))
    shift = int(unit == "ME")  # the last day of a month is the one before the next month
    month = day.astype("datetime64[M]") + shift - multiple * count
    return np.asarray(month.astype("datetime64[D]") - shift + (times - day))


def default_season(step: Step) -> int:
    """Return the number of steps after which such a series commonly repeats; 1 if there is no common season."""
    if isinstance(step, int):
        return 1
    multiple, unit = _split_alias(step)
    if unit in ("MS", "ME"):
        return 12 // multiple if 12 % multiple == 0 else 1
    if is_shorter_than_day(step) and _microseconds(step) >= SHORTEST_OF_DAY:
        day, length = _microseconds("D"), _microseconds(step)
        return day // length if day % length == 0 else 1
    return SEASONS.get(step, 1)


def is_shorter_than_day(step: Step) -> bool:
    """Tell whether a step is one of timestamps, and shorter than a day."""
    if isinstance(step, int) or _split_alias(step)[1] in CALENDARS:
        return False
    return _microseconds(step) < _microseconds("D")


def _split_alias(step: str) -> tuple[int, str]:
    """Return the multiple and the unit of a step: 3 and "MS" for "3MS"."""
    unit = step.lstrip("0123456789")
    return int(step.removesuffix(unit) or 1), unit


def _microseconds(step: str) -> int:
    """Return the length of a fixed step in microseconds."""
    multiple, unit = _split_alias(step)
    return multiple * int(pd.Timedelta(f"1{unit}") // pd.Timedelta(1, "us"))


def _most_common(gaps: np.ndarray) -> int:
    values, counts = np.unique(gaps, return_counts=True)
    return int(values[counts.argmax()])


def _alias(microseconds: int) -> str:
    """Return a fixed step as pandas writes it, whole days as days."""
    step = pd.Timedelta(microseconds, "us")
    days, rest = divmod(step, pd.Timedelta(1, "D"))
    if rest == pd.Timedelta(0):
        return "D" if days == 1 else f"{days}D"
    return str(to_offset(step).freqstr)


def _refuse_off_grid(series_times: list[np.ndarray], names: list[str], step: int) -> None:
    """**Raises:** `InputError` if a series has times off the grid of a fixed step, or is mostly gaps."""
    for times, name in zip(series_times, names, strict=True):
        distances = (times - times[0]).astype(np.int64)
        off_grid = np.flatnonzero(distances % step)
        if len(off_grid):
            raise InputError(
                f"series '{name}' is irregular: {times[off_grid[0]]} comes after {times[off_grid[0] - 1]}, but the "
                f"usual step is {_describe_gap(step, times)}; resample it to one step first"
            )
        length = distances[-1] // step + 1
        if 1 - len(times) / length > LARGEST_GAP_SHARE:
            raise InputError(
                f"series '{name}' has {len(times)} of the {length} times between {times[0]} and {times[-1]} in steps "
                f"of {_describe_gap(step, times)}: too few; resample it, or check that its time column is read as "
                "intended"
            )


def _describe_gap(step: int, times: np.ndarray) -> str:
    return str(pd.Timedelta(step, "us")) if times.dtype.kind == "M" else str(step)


def _calendar_step(series_times: list[np.ndarray]) -> str | None:
    """Return the calendar step whose grid holds all times and is not mostly gaps; None if there is none.

    It may be a multiple of months, but not of business days.
    """
    for unit in CALENDARS:
        if not all(_is_on_calendar(times, unit) for times in series_times):
            continue
        indices = [_calendar_indices(times, unit) for times in series_times]
        multiple = 1 if unit == "B" else int(np.gcd.reduce(np.concatenate([np.diff(index) for index in indices])))
        lengths = [(index[-1] - index[0]) // multiple + 1 for index in indices]
        gap_shares = [1 - len(index) / length for index, length in zip(indices, lengths, strict=True)]
        if max(gap_shares) <= LARGEST_GAP_SHARE:
            return unit if multiple == 1 else f"{multiple}{unit}"
    return None


def _is_on_calendar(times: np.ndarray, unit: str) -> bool:
    """Tell whether the times are days of the calendar, all at the same time of day."""
    days = times.astype("datetime64[D]")
    if np.ptp(times - days) != np.timedelta64(0):
        return False
    if unit == "B":
        return bool(np.is_busday(days).all())
    days = days + (unit == "ME")
    return bool((days == days.astype("datetime64[M]")).all())


def _calendar_indices(times: np.ndarray, unit: str) -> np.ndarray:
    """Return the index of each time in its calendar of months or business days, int64, counted from a fixed day."""
    days = times.astype("datetime64[D]")
    if unit == "B":
        return np.busday_count(np.datetime64("0001-01-01"), days)
    return days.astype("datetime64[M]").astype(np.int64)

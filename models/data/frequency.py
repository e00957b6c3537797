"""The step of a series' time axis: how it is found, and how it goes on."""

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from models.errors import InputError

Step = int | str
"""An integer for integer times, a pandas offset alias ("7D", "MS", "3MS") for timestamps."""

CALENDARS = ("MS", "ME", "B")
"""Months by their first or their last day, and business days."""
SEASONS = {"15min": 96, "30min": 48, "h": 24, "D": 7, "B": 5, "7D": 52}
LARGEST_GAP_SHARE = 0.5
LARGEST_TIME = 2**62
"""Integer times stay below, so that the distance of two of them is an int64 too."""
FIRST_SECOND, LAST_SECOND = np.datetime64("0001-01-01T00:00:00"), np.datetime64("9999-12-31T23:59:59")
SHORTEST_MONTH = 28 * 86_400_000_000
"""Microseconds from which a step may be a month."""


def infer_step(series: list[np.ndarray], names: list[str]) -> Step:
    """The one step on whose grid every series lies.

    **Arguments:** `series`, the sorted, distinct times of each series (int64 or datetime64[us]), and their `names`.

    **Raises:** `InputError` where the times follow no common step, or where no series has two of them.
    """
    gaps = np.concatenate([np.diff(times).astype(np.int64) for times in series])
    if len(gaps) == 0:
        if series[0].dtype.kind != "M":
            return 1
        raise InputError(f"series '{names[0]}' has one time only, {series[0][0]}, which tells no step; give more rows")
    common = int(np.bincount(gaps).argmax()) if gaps.max() < 1_000_000 else _most_common(gaps)
    if series[0].dtype.kind != "M":
        return _fixed(series, names, common)
    if common < SHORTEST_MONTH and (gaps == common).all():
        return _alias(common)
    calendar = _calendar(series)
    if calendar:
        return calendar
    _fixed(series, names, common)
    return _alias(common)


def positions(times: np.ndarray, step: Step) -> np.ndarray:
    """Where each of the sorted `times` lies on the grid that starts at the first one: int64, from 0."""
    if isinstance(step, int):
        return (times - times[0]) // step
    every, unit = _taken_apart(step)
    if unit in CALENDARS:
        ranks = _ranks(times, unit)
        return (ranks - ranks[0]) // every
    return (times - times[0]).astype(np.int64) // _microseconds(step)


def times_from(first: np.generic, step: Step, count: int) -> np.ndarray:
    """The `count` times of the grid that starts at `first`, which is included.

    **Raises:** `InputError` where there is no time so late.
    """
    if isinstance(step, int):
        too_late = int(first) + step * (count - 1) >= LARGEST_TIME
    else:
        too_late = bool((_timestamp_before(np.array([first], "datetime64[us]"), step, 1 - count) > LAST_SECOND).any())
    if too_late:
        raise InputError(
            f"no time lies {count - 1} steps of {step} behind {first}; forecast fewer steps, or check the time column"
        )
    if isinstance(step, int):
        return np.asarray(np.int64(first) + step * np.arange(count))
    grid = pd.date_range(pd.Timestamp(first), periods=count, freq=step)  # type: ignore[arg-type]  # datetime64 here
    return np.asarray(grid.to_numpy("datetime64[us]"))


def time_before(first: np.generic, step: Step, count: int) -> np.generic:
    """The time from which the grid takes `count` steps to `first`.

    **Raises:** `InputError` where there is no time so early.
    """
    if isinstance(step, int):
        number = int(first) - step * count
        if number > -LARGEST_TIME:
            return np.int64(number)
    else:
        time = _timestamp_before(np.array([first], "datetime64[us]"), step, count)
        if (time >= FIRST_SECOND).all():
            return time[0]
    raise InputError(
        f"no time lies {count} steps of {step} before {first}, where the series would have to begin; "
        "leave short series out with --window.short leave_out"
    )


def _timestamp_before(first: np.ndarray, step: str, count: int) -> np.ndarray:
    """The time `count` steps before each of the times `first`; below 0, so many behind it."""
    every, unit = _taken_apart(step)
    if unit not in CALENDARS:
        far = max(-(2**62), min(_microseconds(step) * count, 2**62))
        return np.asarray(first - np.timedelta64(far, "us"))
    day = first.astype("datetime64[D]")
    if unit == "B":
        return np.asarray(np.busday_offset(day, -count) + (first - day))
    behind = int(unit == "ME")  # the last day of a month is the one before the next month
    month = day.astype("datetime64[M]") + behind - every * count
    return np.asarray(month.astype("datetime64[D]") - behind + (first - day))


def usual_season(step: Step) -> int:
    """The steps after which such a series commonly repeats; 1 where nothing is usual."""
    if isinstance(step, int):
        return 1
    every, unit = _taken_apart(step)
    if unit in ("MS", "ME"):
        return 12 // every if 12 % every == 0 else 1
    return SEASONS.get(step, 1)


def _taken_apart(step: str) -> tuple[int, str]:
    """How many of which unit: "3MS" is 3 and "MS"."""
    unit = step.lstrip("0123456789")
    return int(step.removesuffix(unit) or 1), unit


def _microseconds(step: str) -> int:
    """The length of a step that is on no calendar."""
    every, unit = _taken_apart(step)
    return every * int(pd.Timedelta(f"1{unit}") // pd.Timedelta(1, "us"))


def _most_common(gaps: np.ndarray) -> int:
    values, counts = np.unique(gaps, return_counts=True)
    return int(values[counts.argmax()])


def _alias(microseconds: int) -> str:
    """A fixed step as pandas writes it, whole days as days."""
    step = pd.Timedelta(microseconds, "us")
    days, rest = divmod(step, pd.Timedelta(1, "D"))
    if rest == pd.Timedelta(0):
        return "D" if days == 1 else f"{days}D"
    return str(to_offset(step).freqstr)


def _fixed(series: list[np.ndarray], names: list[str], step: int) -> int:
    """`step`, once every series is seen to lie on its grid without being mostly gaps."""
    for times, name in zip(series, names, strict=True):
        where = (times - times[0]).astype(np.int64)
        off = np.flatnonzero(where % step)
        if len(off):
            raise InputError(
                f"series '{name}' is irregular: {times[off[0]]} comes after {times[off[0] - 1]}, but the usual step is "
                f"{_spoken(step, times)}; resample it to one step first"
            )
        length = where[-1] // step + 1
        if 1 - len(times) / length > LARGEST_GAP_SHARE:
            raise InputError(
                f"series '{name}' has {len(times)} of the {length} times between {times[0]} and {times[-1]} in steps "
                f"of {_spoken(step, times)}: too few; resample it, or check that its time column is read as intended"
            )
    return step


def _spoken(step: int, times: np.ndarray) -> str:
    return str(pd.Timedelta(step, "us")) if times.dtype.kind == "M" else str(step)


def _calendar(series: list[np.ndarray]) -> str | None:
    """The calendar whose days the times are, most of which are there; of months, one in so many."""
    for unit in CALENDARS:
        if not all(_on_calendar(times, unit) for times in series):
            continue
        ranks = [_ranks(times, unit) for times in series]
        every = 1 if unit == "B" else int(np.gcd.reduce(np.concatenate([np.diff(rank) for rank in ranks])))
        lengths = [(rank[-1] - rank[0]) // every + 1 for rank in ranks]
        if all(1 - len(rank) / length <= LARGEST_GAP_SHARE for rank, length in zip(ranks, lengths, strict=True)):
            return unit if every == 1 else f"{every}{unit}"
    return None


def _on_calendar(times: np.ndarray, unit: str) -> bool:
    """Whether the times are days of the calendar, all at the same time of day."""
    days = times.astype("datetime64[D]")
    if np.ptp(times - days) != np.timedelta64(0):
        return False
    if unit == "B":
        return bool(np.is_busday(days).all())
    days = days + (unit == "ME")
    return bool((days == days.astype("datetime64[M]")).all())


def _ranks(times: np.ndarray, unit: str) -> np.ndarray:
    """How many days of the calendar came before each time, int64, counted from any one."""
    days = times.astype("datetime64[D]")
    if unit == "B":
        return np.busday_count(np.datetime64("0001-01-01"), days)
    return days.astype("datetime64[M]").astype(np.int64)

"""The step of a series' time axis: how it is found, and how it goes on."""

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from models.errors import InputError

Step = int | str
"""An integer for integer times, a pandas offset alias ("7D", "MS") for timestamps."""

CALENDAR = ("B", "MS", "ME", "QS", "QE", "YS", "YE")
SEASONS = {"15min": 96, "30min": 48, "h": 24, "D": 7, "B": 5, "7D": 52, "MS": 12, "ME": 12, "QS": 4, "QE": 4}
LARGEST_GAP_SHARE = 0.5


def infer_step(series: list[np.ndarray], names: list[str]) -> Step:
    """The one step on whose grid every series lies.

    **Arguments:** `series`, the sorted, distinct times of each series (int64 or datetime64[us]), and their `names`.

    **Raises:** `InputError` where the times follow no common step.
    """
    gaps = np.concatenate([np.diff(times).astype(np.int64) for times in series if len(times) > 1] or [np.array([1])])
    common = int(np.bincount(gaps).argmax()) if gaps.max() < 1_000_000 else _most_common(gaps)
    if series[0].dtype.kind != "M":
        return _fixed(series, names, common)
    if (gaps == common).all():
        return _alias(common)
    for alias in CALENDAR:
        if all(_on_calendar(times, alias) for times in series):
            return alias
    _fixed(series, names, common)
    return _alias(common)


def positions(times: np.ndarray, step: Step) -> np.ndarray:
    """Where each of the sorted `times` lies on the grid that starts at the first one: int64, from 0."""
    if isinstance(step, int):
        return (times - times[0]) // step
    if step.split("-")[0] in CALENDAR:
        grid = pd.date_range(times[0], times[-1], freq=step)
        return np.asarray(grid.get_indexer(pd.DatetimeIndex(times)), dtype=np.int64)
    microseconds = pd.Timedelta(step if step[0].isdigit() else f"1{step}") // pd.Timedelta(1, "us")
    return (times - times[0]).astype(np.int64) // microseconds


def times_from(first: np.generic, step: Step, count: int) -> np.ndarray:
    """The `count` times of the grid that starts at `first`, which is included."""
    if isinstance(step, int):
        return np.asarray(np.int64(first) + step * np.arange(count))
    return np.asarray(pd.date_range(first, periods=count, freq=step).to_numpy("datetime64[us]"))


def usual_season(step: Step) -> int:
    """The steps after which such a series commonly repeats; 1 where nothing is usual."""
    return 1 if isinstance(step, int) else SEASONS.get(step.split("-")[0], 1)


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
                f"series '{name}' has {len(times)} of the {length} times between {times[0]} and {times[-1]} in steps of "
                f"{_spoken(step, times)}: too few; resample it, or check that its time column is read as intended"
            )
    return step


def _spoken(step: int, times: np.ndarray) -> str:
    return str(pd.Timedelta(step, "us")) if times.dtype.kind == "M" else str(step)


def _on_calendar(times: np.ndarray, alias: str) -> bool:
    """Whether the times are the calendar's own, most of which are there."""
    grid = pd.date_range(times[0], times[-1], freq=alias)
    return len(grid) <= len(times) / (1 - LARGEST_GAP_SHARE) and bool(pd.DatetimeIndex(times).isin(grid).all())

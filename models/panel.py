"""A panel: one or many series, end to end in one array, with no copy of any part."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd

from models.errors import InputError
from models.frequency import Step, infer_step, positions, times_from

Fill = Literal["last", "linear", "error"]
COLUMNS = ("unique_id", "ds", "y")
LARGEST_TIME = 2**62
"""Integer times stay below, so that the distance of two of them is an int64 too."""
FIRST_SECOND, LAST_SECOND = np.datetime64("0001-01-01T00:00:00"), np.datetime64("9999-12-31T23:59:59")


@dataclass(frozen=True)
class Panel:
    """N series with P points in all, regular in time.

    `values` is float64 [P]; `observed` is bool [P], false where a value was missing and has been filled;
    series n owns the points from `offsets[n]` up to `offsets[n + 1]` and starts at time `first[n]`.
    """

    ids: tuple[str, ...]
    values: np.ndarray
    observed: np.ndarray
    offsets: np.ndarray
    first: tuple[np.generic, ...]
    step: Step

    @property
    def starts(self) -> np.ndarray:
        """Index of each series' first point, int64 [N]."""
        return self.offsets[:-1]

    @property
    def ends(self) -> np.ndarray:
        """Index behind each series' last point, int64 [N]."""
        return self.offsets[1:]

    def series_of(self, points: np.ndarray) -> np.ndarray:
        """The series that owns each point; an index at a series' end belongs to the next one."""
        return np.searchsorted(self.offsets, points, side="right") - 1

    def times(self, series: int, begin: int, count: int) -> np.ndarray:
        """`count` times of one series from its `begin`-th on, also beyond its end."""
        return times_from(self.first[series], self.step, begin + count)[begin:]

    def all_times(self) -> np.ndarray:
        """The time of every point, [P]."""
        lengths = self.ends - self.starts
        return np.concatenate([times_from(first, self.step, n) for first, n in zip(self.first, lengths, strict=True)])

    def with_values(self, values: np.ndarray) -> "Panel":
        """The same series in another scale."""
        return replace(self, values=values)

    def head(self, ends: np.ndarray) -> "Panel":
        """The series cut short at the points `ends` [N], as a forecaster at that moment would see them."""
        keep = np.concatenate([np.arange(a, b) for a, b in zip(self.starts, ends, strict=True)])
        offsets = np.concatenate([[0], np.cumsum(ends - self.starts)])
        return replace(self, values=self.values[keep], observed=self.observed[keep], offsets=offsets)


def one_series(name: str, values: np.ndarray) -> Panel:
    """A panel of a single complete series at the times 0, 1, 2, ..."""
    offsets = np.array([0, len(values)])
    return Panel((name,), values, np.ones(len(values), bool), offsets, (np.int64(0),), 1)


def panel_from_frame(frame: pd.DataFrame, fill: Fill) -> tuple[Panel, list[str]]:
    """A panel from a long table, and what was done to the table on the way, a sentence each.

    **Arguments:** `frame` with the columns `unique_id`, `ds` (datetime64 or integer) and `y` (float, NaN where
    missing), rows in any order; `fill`, the rule for missing values.

    **Raises:** `InputError` on doubled or irregular times, on infinities, on series without a value, on any missing
    value behind a series' first one where `fill` is "error", and on a table of another form.
    """
    frame = _checked(frame)
    ordered = frame.sort_values(["unique_id", "ds"], kind="stable")
    _refuse_doubles(ordered)
    names, bounds = _bounds(ordered["unique_id"])
    notes = _sorting_note(ordered.index.to_numpy(), bounds)

    times, values = ordered["ds"].to_numpy(), ordered["y"].to_numpy()
    rows = [slice(a, b) for a, b in pairwise(bounds)]
    parts = [_without_leading_gap(part, values, name) for part, name in zip(rows, names, strict=True)]
    left_out = sum(part.start - row.start for part, row in zip(parts, rows, strict=True))
    if left_out:
        notes.append(f"left out {left_out} of {len(values)} rows, which come before the first value of their series")
    step = infer_step([times[part] for part in parts], names)

    grids = [_on_grid(times[part], values[part], step) for part in parts]
    observed = np.concatenate([np.isfinite(grid) for grid in grids])
    missing = int((~observed).sum())
    if missing:
        if fill == "error":
            raise InputError(_first_gap(grids, names, [times[part][0] for part in parts], step, missing))
        rule = {"last": "the last value before", "linear": "a straight line to the next value"}[fill]
        notes.append(f"filled {missing} of {len(observed)} values that were missing with {rule} (series.fill={fill})")
    filled = np.concatenate([_fill(grid, fill) for grid in grids])
    offsets = np.concatenate([[0], np.cumsum([len(grid) for grid in grids])])
    return Panel(tuple(names), filled, observed, offsets, tuple(times[part][0] for part in parts), step), notes


def _checked(frame: pd.DataFrame) -> pd.DataFrame:
    """The three columns as text, int64 or datetime64[us], and float64, the rows numbered from 0."""
    for name in COLUMNS:
        if name not in frame.columns:
            raise InputError(f"the table has no column '{name}'; it needs unique_id, ds and y")
    if len(frame) == 0:
        raise InputError("the table has no rows; give at least one")
    for name in ("unique_id", "ds"):
        empty = np.flatnonzero(frame[name].isna())
        if len(empty):
            raise InputError(f"row {empty[0] + 1} has no {name}; fill it in or remove the row")
    try:
        values = frame["y"].to_numpy(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"the column y holds more than numbers ({error}); correct it") from error
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        row = infinite[0]
        raise InputError(f"row {row + 1}: the value {values[row]} is not finite; leave the cell empty if it is missing")
    ids = frame["unique_id"].astype(str).reset_index(drop=True)
    return pd.DataFrame({"unique_id": ids, "ds": _checked_times(frame["ds"].to_numpy()), "y": values})


def _checked_times(times: np.ndarray) -> np.ndarray:
    """The times as int64 or datetime64[us]."""
    if times.dtype.kind in "iu":
        exact = times.astype(np.int64)
        far = (times <= -LARGEST_TIME) | (times >= LARGEST_TIME)
    elif times.dtype.kind == "M":
        exact = times.astype("datetime64[us]")
        seconds = times.astype("datetime64[s]")
        far = (seconds < FIRST_SECOND) | (seconds > LAST_SECOND)
    else:
        raise InputError(f"the column ds holds {times.dtype}, not integers or timestamps without a zone; convert it")
    for wrong, fault in (
        (far, "too far away; check the column and its unit"),
        (exact != times, "too fine; round it to microseconds"),
    ):
        rows = np.flatnonzero(wrong)
        if len(rows):
            raise InputError(f"row {rows[0] + 1}: the time {times[rows[0]]} is {fault}")
    return exact


def _sorting_note(rows: np.ndarray, bounds: np.ndarray) -> list[str]:
    """What to tell where the sorted rows, by their numbers in the table, were not in order within their series."""
    late = np.diff(rows) < 0
    late[bounds[1:-1] - 1] = False  # from one series to the next
    count = int(late.sum())
    return [f"sorted the rows by time: {count} of {len(rows)} stood behind a later one"] if count else []


def _refuse_doubles(ordered: pd.DataFrame) -> None:
    doubled = ordered.duplicated(["unique_id", "ds"]).to_numpy()
    if doubled.any():
        row = ordered[doubled].iloc[0]
        raise InputError(
            f"series '{row['unique_id']}' has the time {row['ds']} twice (row {ordered.index[doubled][0] + 1}); "
            "keep one row a time, or name the column that tells the series apart with --series.id"
        )


def _bounds(ids: pd.Series) -> tuple[list[str], np.ndarray]:
    """The sorted series' names and where each begins, with the end of the last."""
    codes, names = pd.factorize(ids)
    changes = np.flatnonzero(np.diff(codes)) + 1
    return [str(name) for name in names], np.concatenate([[0], changes, [len(ids)]])


def _without_leading_gap(part: slice, values: np.ndarray, name: str) -> slice:
    present = np.isfinite(values[part])
    if not present.any():
        raise InputError(f"series '{name}' has no value at all; remove it, or check --series.value")
    return slice(part.start + int(present.argmax()), part.stop)


def _on_grid(times: np.ndarray, values: np.ndarray, step: Step) -> np.ndarray:
    """The values at every step from the first time to the last, NaN where there is none."""
    where = positions(times, step)
    if where[-1] + 1 == len(times):
        return values
    grid = np.full(where[-1] + 1, np.nan)
    grid[where] = values
    return grid


def _fill(grid: np.ndarray, rule: Fill) -> np.ndarray:
    known = np.isfinite(grid)
    if known.all():
        return grid
    at = np.flatnonzero(known)
    if rule == "linear":
        return np.interp(np.arange(len(grid)), at, grid[at])
    return grid[at][np.cumsum(known) - 1]


def _first_gap(grids: list[np.ndarray], names: list[str], first: list[np.generic], step: Step, missing: int) -> str:
    for grid, name, start in zip(grids, names, first, strict=True):
        gaps = np.flatnonzero(~np.isfinite(grid))
        if len(gaps):
            when = times_from(start, step, gaps[0] + 1)[-1]
            return (
                f"series '{name}' has no value at {when} ({missing} are missing in all); "
                "choose --series.fill last or linear"
            )
    raise AssertionError("there is a gap")

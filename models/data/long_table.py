"""The reading of a long table: checked, sorted, told apart by series, and brought onto each series' grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd

from models.data.frequency import FIRST_SECOND, LARGEST_TIME, LAST_SECOND, Step, infer_step, positions, times_from
from models.errors import InputError

Fill = Literal["last", "linear", "error"]
COLUMNS = ("unique_id", "ds", "y")
LARGEST_VALUE = 1e100
"""Values stay below, so that their differences, sums and squares are floats too."""


@dataclass(frozen=True)
class SeriesRows:
    """The rows of one series in the sorted table.

    `rows` are all of them; its points begin at row `first` and end before row `stop`, and the rows from there on are
    in the future. `start` is the time of row `first`, and `places` where the rows from it on lie on the grid, from 0.
    """

    name: str
    rows: slice
    first: int
    stop: int
    start: np.generic
    places: np.ndarray

    @property
    def points(self) -> int:
        """The number of points, gaps included."""
        return int(self.places[self.stop - self.first - 1]) + 1


def find_series(ordered: pd.DataFrame, with_future: bool) -> tuple[list[SeriesRows], Step]:
    """Each series of the sorted table, and their step; `with_future` if rows behind the last value are no points.

    **Raises:** `InputError` where times are doubled or follow no step, or a series has no value.
    """
    _refuse_doubles(ordered)
    names, bounds = _bounds(ordered["unique_id"])
    times, present = ordered["ds"].to_numpy(), np.isfinite(ordered["y"].to_numpy())
    rows = [slice(a, b) for a, b in pairwise(bounds.tolist())]
    points = [_from_first_value(part, present, name, with_future) for part, name in zip(rows, names, strict=True)]
    used = [times[part.start : row.stop] for part, row in zip(points, rows, strict=True)]
    step = infer_step(used, names)
    runs = [
        SeriesRows(name, row, part.start, part.stop, when[0], positions(when, step))
        for name, row, part, when in zip(names, rows, points, used, strict=True)
    ]
    return runs, step


def checked_frame(frame: pd.DataFrame) -> pd.DataFrame:
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
    large = np.flatnonzero(np.abs(values) > LARGEST_VALUE)
    if len(large):
        row = large[0]
        raise InputError(
            f"row {row + 1}: the value {values[row]:g} is larger than {LARGEST_VALUE:g}; rescale the values, or leave "
            "the cell empty if it is missing"
        )
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


def sorting_note(ordered: pd.DataFrame, runs: Sequence[SeriesRows]) -> list[str]:
    """What to tell where the sorted rows, by their numbers in the table, were not in order within their series."""
    late = np.diff(ordered.index.to_numpy()) < 0
    late[[run.rows.start - 1 for run in runs[1:]]] = False  # from one series to the next
    count = int(late.sum())
    return [f"sorted the rows by time: {count} of {len(ordered)} stood behind a later one"] if count else []


def range_notes(runs: Sequence[SeriesRows]) -> list[str]:
    """How many rows come before the first value of their series, or behind the last one as future rows."""
    total = sum(run.rows.stop - run.rows.start for run in runs)
    before, behind = (
        sum(run.first - run.rows.start for run in runs),
        sum(run.rows.stop - run.stop for run in runs),
    )
    notes = []
    if before:
        notes.append(f"left out {before} of {total} rows, which come before the first value of their series")
    if behind:
        notes.append(f"took {behind} of {total} rows, which come behind the last value of their series, as future rows")
    return notes


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


def _from_first_value(rows: slice, present: np.ndarray, name: str, to_last_value: bool) -> slice:
    """The rows from the first one with a value on, where asked for up to the last one with a value."""
    there = np.flatnonzero(present[rows])
    if len(there) == 0:
        raise InputError(f"series '{name}' has no value at all; remove it, or check --series.value")
    return slice(rows.start + int(there[0]), rows.start + int(there[-1]) + 1 if to_last_value else rows.stop)


def on_grid(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The values [R] or [R, F] at every place from 0 to the last one, NaN where there is none."""
    if places[-1] + 1 == len(places):
        return values
    grid = np.full((places[-1] + 1, *values.shape[1:]), np.nan, values.dtype)
    grid[places] = values
    return grid


def fill_gaps(
    grids: Sequence[np.ndarray], runs: Sequence[SeriesRows], step: Step, fill: Fill
) -> tuple[np.ndarray, list[str]]:
    """The values of all series end to end, [P], without gaps, and what is to be told of that.

    **Raises:** `InputError` with the first gap where `fill` is "error".
    """
    missing = int(sum((~np.isfinite(grid)).sum() for grid in grids))
    if not missing:
        return np.concatenate(grids), []
    if fill == "error":
        raise InputError(_first_gap(grids, runs, step, missing))
    rule = {"last": "the last value before", "linear": "a straight line to the next value"}[fill]
    total = sum(len(grid) for grid in grids)
    note = f"filled {missing} of {total} values that were missing with {rule} (series.fill={fill})"
    return np.concatenate([_fill(grid, fill) for grid in grids]), [note]


def _fill(grid: np.ndarray, rule: Fill) -> np.ndarray:
    known = np.isfinite(grid)
    if known.all():
        return grid
    at = np.flatnonzero(known)
    if rule == "linear":
        return np.interp(np.arange(len(grid)), at, grid[at])
    return grid[at][np.cumsum(known) - 1]


def _first_gap(grids: Sequence[np.ndarray], runs: Sequence[SeriesRows], step: Step, missing: int) -> str:
    for grid, run in zip(grids, runs, strict=True):
        gaps = np.flatnonzero(~np.isfinite(grid))
        if len(gaps):
            when = times_from(run.start, step, gaps[0] + 1)[-1]
            return (
                f"series '{run.name}' has no value at {when} ({missing} are missing in all); "
                "choose --series.fill last or linear"
            )
    raise AssertionError("there is a gap")

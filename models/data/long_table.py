"""Reading a long table: its rows are checked, assigned to their series, and placed on each series' time grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from models.data.frequency import infer_step, refuse_other_step
from models.data.steps import FIRST_SECOND, LARGEST_TIME, LAST_SECOND, Step
from models.errors import InputError
from models.specs import Fill

COLUMNS = ("unique_id", "ds", "y")
LARGEST_VALUE = 1e100
"""Larger values are refused, so that differences, sums and squares of values are finite too."""


@dataclass(frozen=True)
class SeriesRows:
    """The rows of one series in the sorted table.

    `rows` are all its rows. `point_rows` are those from its first value to its last point; rows before them are
    dropped, and rows after them lie in the future. `start_time` is the time of the first of `point_rows`, and
    `grid_positions` are the positions on the time grid, from 0, of `point_rows` and of the future rows.
    """

    name: str
    rows: slice
    point_rows: slice
    start_time: np.generic
    grid_positions: np.ndarray

    @property
    def n_points(self) -> int:
        """The number of points of the series, gaps included."""
        return int(self.grid_positions[self.point_rows.stop - self.point_rows.start - 1]) + 1


def find_series(ordered: pd.DataFrame, with_future: bool, step: Step | None = None) -> tuple[list[SeriesRows], Step]:
    """Return the rows of each series of the sorted table, and the step that all follow.

    Rows after the last value of a series are future rows if `with_future`, and otherwise points without a value. The
    step is found from the times, if none is given.

    **Raises:** `InputError` if a series has a time twice, if times follow no common step, or if a series has no value.
    """
    _refuse_duplicates(ordered)
    names, bounds = _series_bounds(ordered["unique_id"])
    times, present = ordered["ds"].to_numpy(), np.isfinite(ordered["y"].to_numpy())
    all_rows = [slice(begin, end) for begin, end in pairwise(bounds.tolist())]
    point_rows = [
        _find_point_rows(rows, present, name, with_future) for rows, name in zip(all_rows, names, strict=True)
    ]
    used_times = [times[points.start : rows.stop] for points, rows in zip(point_rows, all_rows, strict=True)]
    if step is None:
        step = infer_step(used_times, names)
    else:
        refuse_other_step(step, used_times, names)
    series_rows = [
        SeriesRows(name, rows, points, used[0], step.positions(used))
        for name, rows, points, used in zip(names, all_rows, point_rows, used_times, strict=True)
    ]
    return series_rows, step


def check_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the three columns as text, as int64 or datetime64[us], and as float64, the rows numbered from 0.

    **Raises:** `InputError` if a column or all rows are missing, or a cell cannot be used.
    """
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
    return pd.DataFrame({"unique_id": ids, "ds": _check_times(frame["ds"].to_numpy()), "y": values})


def _check_times(times: np.ndarray) -> np.ndarray:
    """Return the times as int64 or datetime64[us]."""
    if times.dtype.kind in "iu":
        exact = times.astype(np.int64)
        too_far = (times <= -LARGEST_TIME) | (times >= LARGEST_TIME)
    elif times.dtype.kind == "M":
        exact = times.astype("datetime64[us]")
        seconds = times.astype("datetime64[s]")
        too_far = (seconds < FIRST_SECOND) | (seconds > LAST_SECOND)
    else:
        raise InputError(f"the column ds holds {times.dtype}, not integers or timestamps without a zone; convert it")
    for wrong, fault in (
        (too_far, "too far away; check the column and its unit"),
        (exact != times, "too fine; round it to microseconds"),
    ):
        rows = np.flatnonzero(wrong)
        if len(rows):
            raise InputError(f"row {rows[0] + 1}: the time {times[rows[0]]} is {fault}")
    return exact


def sorting_note(ordered: pd.DataFrame, series_rows: Sequence[SeriesRows]) -> list[str]:
    """Return a note if the rows of a series were not in order of time; the index holds the original row numbers."""
    late = np.diff(ordered.index.to_numpy()) < 0
    late[[series.rows.start - 1 for series in series_rows[1:]]] = False  # from one series to the next
    count = int(late.sum())
    return [f"sorted the rows by time: {count} of {len(ordered)} came after a later one"] if count else []


def range_notes(series_rows: Sequence[SeriesRows]) -> list[str]:
    """Return notes on rows before the first value of their series, and on future rows."""
    total = sum(series.rows.stop - series.rows.start for series in series_rows)
    before = sum(series.point_rows.start - series.rows.start for series in series_rows)
    future = sum(series.rows.stop - series.point_rows.stop for series in series_rows)
    notes = []
    if before:
        notes.append(f"left out {before} of {total} rows, which come before the first value of their series")
    if future:
        notes.append(f"took {future} of {total} rows, which come after the last value of their series, as future rows")
    return notes


def _refuse_duplicates(ordered: pd.DataFrame) -> None:
    duplicated = ordered.duplicated(["unique_id", "ds"]).to_numpy()
    if duplicated.any():
        row = ordered[duplicated].iloc[0]
        raise InputError(
            f"series '{row['unique_id']}' has the time {row['ds']} twice (row {ordered.index[duplicated][0] + 1}); "
            "keep one row a time, or name the column that tells the series apart with --series.id"
        )


def _series_bounds(ids: pd.Series) -> tuple[list[str], np.ndarray]:
    """Return the names of the N series, and the first row of each followed by the number of rows, [N + 1]."""
    codes, names = pd.factorize(ids)
    changes = np.flatnonzero(np.diff(codes)) + 1
    return [str(name) for name in names], np.concatenate([[0], changes, [len(ids)]])


def _find_point_rows(rows: slice, present: np.ndarray, name: str, to_last_value: bool) -> slice:
    """Return the rows of a series from the first that has a value, to the last that has one if `to_last_value`."""
    with_value = np.flatnonzero(present[rows])
    if len(with_value) == 0:
        raise InputError(f"series '{name}' has no value at all; remove it, or check --series.value")
    end = rows.start + int(with_value[-1]) + 1 if to_last_value else rows.stop
    return slice(rows.start + int(with_value[0]), end)


def place_on_grid(values: np.ndarray, grid_positions: np.ndarray) -> np.ndarray:
    """Return the values [rows] or [rows, F] at every position from 0 to the last one, NaN where there is no row."""
    if grid_positions[-1] + 1 == len(grid_positions):
        return values
    grid = np.full((grid_positions[-1] + 1, *values.shape[1:]), np.nan, values.dtype)
    grid[grid_positions] = values
    return grid


def fill_gaps(
    grids: Sequence[np.ndarray], series_rows: Sequence[SeriesRows], step: Step, fill: Fill
) -> tuple[np.ndarray, list[str]]:
    """Return the values of all series end to end without gaps, [P], and a note if there were any.

    **Raises:** `InputError` that names the first gap, if `fill` is "error".
    """
    missing = int(sum((~np.isfinite(grid)).sum() for grid in grids))
    if not missing:
        return np.concatenate(grids), []
    if fill == "error":
        raise InputError(_describe_first_gap(grids, series_rows, step, missing))
    rule = {"last": "the last value before", "linear": "a straight line to the next value"}[fill]
    total = sum(len(grid) for grid in grids)
    note = f"filled {missing} of {total} values that were missing with {rule} (series.fill={fill})"
    return np.concatenate([_fill(grid, fill) for grid in grids]), [note]


def _fill(grid: np.ndarray, fill: Fill) -> np.ndarray:
    present = np.isfinite(grid)
    if present.all():
        return grid
    places = np.flatnonzero(present)
    if fill == "linear":
        return np.interp(np.arange(len(grid)), places, grid[places])
    return grid[places][np.cumsum(present) - 1]


def _describe_first_gap(
    grids: Sequence[np.ndarray], series_rows: Sequence[SeriesRows], step: Step, missing: int
) -> str:
    for grid, series in zip(grids, series_rows, strict=True):
        gaps = np.flatnonzero(~np.isfinite(grid))
        if len(gaps):
            time = step.times(series.start_time, gaps[0] + 1)[-1]
            return (
                f"series '{series.name}' has no value at {time} ({missing} are missing in all); "
                "choose --series.fill last or linear"
            )
    raise AssertionError("there is a gap")

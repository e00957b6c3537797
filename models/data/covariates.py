"""Covariates: numbers beside the values of a panel, some of them known ahead."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from models.data.long_table import SeriesRows, place_on_grid
from models.data.steps import Step
from models.errors import InputError
from models.specs import Fill


class CovariateNames(NamedTuple):
    """The columns of a table that are covariates: known up to the present, known ahead, and fixed for a series."""

    past: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    static: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """All names in the order of `Covariates`: static, known ahead, past."""
        return self.static + self.known + self.past


NO_COVARIATES = CovariateNames()


@dataclass(frozen=True)
class Covariates:
    """F numbers beside each value of a panel, and in the rows after the end of each series.

    `names` [F]; `values` float32 [P, F], complete; `n_known`, how many covariates, the first ones, are known ahead;
    `ahead`, for each of the N series, the rows after its last value, float32 [rows, F], NaN where not known ahead;
    `n_static`, how many of the known covariates, again the first ones, never change within a series.
    """

    names: tuple[str, ...]
    values: np.ndarray
    n_known: int
    ahead: tuple[np.ndarray, ...]
    n_static: int = 0

    def take(self, points: np.ndarray, series: np.ndarray | None = None) -> "Covariates":
        """Return the rows of the given points, and the future rows of the given series (by default of all)."""
        ahead = self.ahead if series is None else tuple(self.ahead[n] for n in series)
        return replace(self, values=self.values[points], ahead=ahead)

    def rows(self, series: int, start: int, end: int, begin: int, count: int) -> np.ndarray:
        """Return `count` rows [count, F] of a series, from its `begin`-th on; it owns the points `start` to `end`.

        Beyond the end, static and past covariates keep their last number; those known ahead are NaN where not given.
        """
        n_inside = end - start - begin  # negative if `begin` lies beyond the end
        inside = self.values[start + begin : min(start + begin + count, end)]
        ahead = self.ahead[series][max(-n_inside, 0) : max(count - n_inside, 0)]
        rows = np.full((count, len(self.names)), np.nan, np.float32)
        rows[: len(inside)] = inside
        beyond = rows[max(n_inside, 0) :]
        beyond[: len(ahead)] = ahead
        for unchanging in (slice(self.n_static), slice(self.n_known, None)):
            beyond[:, unchanging] = self.values[end - 1, unchanging]
        return rows


def covariate_numbers(frame: pd.DataFrame, names: CovariateNames) -> np.ndarray:
    """Return the covariates of a table's rows, float32 [rows, F], NaN where a cell is empty.

    **Raises:** `InputError` if a column is missing, or a cell is not a finite number.
    """
    numbers = np.empty((len(frame), len(names.all)), np.float32)
    for index, name in enumerate(names.all):
        if name not in frame.columns:
            raise InputError(f"the table has no column '{name}', which is a covariate; add it")
        numbers[:, index] = _to_float32(frame[name], name)
    return numbers


def _to_float32(cells: pd.Series, name: str) -> np.ndarray:
    times = pd.api.types.infer_dtype(cells) in ("datetime64", "timedelta64", "datetime", "date")
    numbers = pd.to_numeric(cells, errors="coerce")
    invalid = np.flatnonzero(cells.notna() & (numbers.isna() | times))
    if len(invalid):
        raise InputError(
            f"column '{name}' has '{cells.iloc[invalid[0]]}' in row {invalid[0] + 1}, which is not a number; "
            "correct it, or leave the cell empty if it is missing"
        )
    with np.errstate(over="ignore"):  # an overflow is refused below
        in_float32 = numbers.to_numpy(np.float64, na_value=np.nan).astype(np.float32)
    infinite = np.flatnonzero(np.isinf(in_float32))
    if len(infinite):
        raise InputError(
            f"column '{name}' has {cells.iloc[infinite[0]]} in row {infinite[0] + 1}, which is not finite in 32 bits; "
            "rescale the column, or leave the cell empty if it is missing"
        )
    return in_float32


def read_covariates(
    numbers: np.ndarray, names: CovariateNames, series_rows: Sequence[SeriesRows], step: Step, fill: Fill
) -> tuple[Covariates | None, list[str]]:
    """Return the covariates of a panel from those of the sorted rows [rows, F], and notes on what was filled.

    A missing number within a series is filled with the one before it, and at the start of the series with the next.

    **Raises:** `InputError` if a static covariate changes, if a series has no number of a covariate, or if `fill` is
    "error" and a number within a series is missing.
    """
    if not names.all:
        return None, []
    n_static = len(names.static)
    n_known = n_static + len(names.known)
    static = _static_numbers(numbers[:, :n_static], names, series_rows)  # [N, static]
    inside, ahead = [], []
    for series, static_of_series in zip(series_rows, static, strict=True):
        rows = numbers[series.point_rows.start : series.rows.stop]
        grid = place_on_grid(rows, series.grid_positions)  # [points and future rows, F]
        grid[:, :n_static] = static_of_series
        inside.append(grid[: series.n_points])
        ahead.append(grid[series.n_points :].copy())
        ahead[-1][:, n_known:] = np.nan
    values = np.concatenate(inside)  # [P, F]
    notes = _fill_gaps(values, names, series_rows, step, fill)
    return Covariates(names.all, values, n_known, tuple(ahead), n_static), notes


def _static_numbers(numbers: np.ndarray, names: CovariateNames, series_rows: Sequence[SeriesRows]) -> np.ndarray:
    """Return the one number of each series for each static covariate, [N, static]."""
    begins = [series.rows.start for series in series_rows]
    low, high = (extreme.reduceat(numbers, begins, axis=0) for extreme in (np.fmin, np.fmax))
    for n, index in np.argwhere(low != high):  # both are NaN if the series has no number
        name = names.static[index]
        if np.isnan(low[n, index]):
            raise InputError(
                f"series '{series_rows[n].name}' has no number in '{name}'; fill it in for at least one row"
            )
        raise InputError(
            f"series '{series_rows[n].name}' has both {low[n, index]!s} and {high[n, index]!s} in '{name}', which "
            "should be static; correct it, or name the column with --series.past or --series.known"
        )
    return low


def _fill_gaps(
    values: np.ndarray, names: CovariateNames, series_rows: Sequence[SeriesRows], step: Step, fill: Fill
) -> list[str]:
    """Fill the gaps of `values` [P, F] in place; returns a note if there were any."""
    missing = np.isnan(values)
    if not missing.any():
        return []
    lengths = [series.n_points for series in series_rows]
    owners, starts = np.repeat(np.arange(len(lengths)), lengths), np.cumsum([0, *lengths])  # [P], [N + 1]
    points = np.arange(len(values))
    for index in np.flatnonzero(missing.any(axis=0)):
        present = ~missing[:, index]
        before = np.maximum.accumulate(np.where(present, points, -1))
        after = np.minimum.accumulate(np.where(present, points, len(points))[::-1])[::-1]
        source = np.where(before >= starts[owners], before, after)  # [P]
        empty = np.flatnonzero(source >= starts[owners + 1])
        if len(empty):
            raise InputError(
                f"series '{series_rows[owners[empty[0]]].name}' has no number in '{names.all[index]}' up to its last "
                "value; fill it in, or drop the column from the covariates"
            )
        values[:, index] = values[source, index]
    count = int(missing.sum())
    if fill == "error":
        point, index = np.argwhere(missing)[0]
        series = series_rows[owners[point]]
        time = step.times(series.start_time, int(point - starts[owners[point]]) + 1)[-1]
        raise InputError(
            f"series '{series.name}' has no '{names.all[index]}' at {time} ({count} covariate numbers are missing in "
            "all); fill it in, or choose --series.fill last or linear"
        )
    total = len(values) * (len(names.known) + len(names.past))
    return [f"filled {count} of {total} covariate numbers, which were missing, with the previous one or the next"]

"""Covariates: numbers known beside the values of a panel, some of them ahead."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from models.data.frequency import Step, times_from
from models.data.long_table import Fill, SeriesRows, on_grid
from models.errors import InputError


class CovariateNames(NamedTuple):
    """The columns of a table that are covariates: known up to the present, known ahead, and of the series itself."""

    past: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    static: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """All of them, those known longest first."""
        return self.static + self.known + self.past


NO_COVARIATES = CovariateNames()


@dataclass(frozen=True)
class Covariates:
    """F numbers beside each value of a panel, and in rows behind each series' end.

    `names` [F]; `values` float32 [P, F], complete; `n_known`: how many of the columns, the first ones, are known ahead;
    `ahead`: for each of the N series float32 [X_n, F], the rows behind its last value, NaN where not known ahead;
    `n_static`: how many of the known columns, again the first ones, never change.
    """

    names: tuple[str, ...]
    values: np.ndarray
    n_known: int
    ahead: tuple[np.ndarray, ...]
    n_static: int = 0

    def take(self, points: np.ndarray, series: np.ndarray | None = None) -> "Covariates":
        """Those of the points given, and what is ahead of the series given, or of all."""
        ahead = self.ahead if series is None else tuple(self.ahead[n] for n in series)
        return replace(self, values=self.values[points], ahead=ahead)

    def head(self, keep: np.ndarray, ends: np.ndarray, old_ends: np.ndarray) -> "Covariates":
        """Those of the points in `keep` (bool [P]); what lies from `ends` to `old_ends` [N] is ahead now."""
        ahead = tuple(
            np.concatenate([self._seen_ahead(self.values[end:old_end]), rows])  # [old_end - end + X_n, F]
            for end, old_end, rows in zip(ends, old_ends, self.ahead, strict=True)
        )
        return replace(self, values=self.values[keep], ahead=ahead)

    def _seen_ahead(self, rows: np.ndarray) -> np.ndarray:
        return np.where(np.arange(len(self.names)) < self.n_known, rows, np.float32(np.nan))

    def rows(self, series: int, start: int, end: int, begin: int, count: int) -> np.ndarray:
        """`count` rows [count, F] of a series that owns the points `start` to `end`, from its `begin`-th on.

        Beyond its end the static and the past columns stay as they were; known ones are NaN where not given.
        """
        behind = end - start - begin  # the row from which on they are ahead
        inside = self.values[start + begin : min(start + begin + count, end)]
        ahead = self.ahead[series][max(-behind, 0) : max(count - behind, 0)]
        rows = np.full((count, len(self.names)), np.nan, np.float32)
        rows[: len(inside)] = inside
        beyond = rows[max(behind, 0) :]
        beyond[: len(ahead)] = ahead
        for lasting in (slice(self.n_static), slice(self.n_known, None)):
            beyond[:, lasting] = self.values[end - 1, lasting]
        return rows


def covariate_numbers(frame: pd.DataFrame, names: CovariateNames) -> np.ndarray:
    """The covariates of a table's rows, float32 [R, F], NaN where a cell is empty.

    **Raises:** `InputError` where a column is not there, or a cell is no finite number.
    """
    numbers = np.empty((len(frame), len(names.all)), np.float32)
    for place, name in enumerate(names.all):
        if name not in frame.columns:
            raise InputError(f"the table has no column '{name}', which is a covariate; add it")
        numbers[:, place] = _numbers(frame[name], name)
    return numbers


def _numbers(cells: pd.Series, name: str) -> np.ndarray:
    times = pd.api.types.infer_dtype(cells) in ("datetime64", "timedelta64", "datetime", "date")
    numbers = pd.to_numeric(cells, errors="coerce")
    broken = np.flatnonzero(cells.notna() & (numbers.isna() | times))
    if len(broken):
        raise InputError(
            f"column '{name}' has '{cells.iloc[broken[0]]}' in row {broken[0] + 1}, which is not a number; "
            "correct it, or leave the cell empty if it is missing"
        )
    with np.errstate(over="ignore"):  # told below
        short = numbers.to_numpy(np.float64, na_value=np.nan).astype(np.float32)
    infinite = np.flatnonzero(np.isinf(short))
    if len(infinite):
        raise InputError(
            f"column '{name}' has {cells.iloc[infinite[0]]} in row {infinite[0] + 1}, which is not finite in 32 bits; "
            "rescale the column, or leave the cell empty if it is missing"
        )
    return short


def read_covariates(
    numbers: np.ndarray, names: CovariateNames, runs: Sequence[SeriesRows], step: Step, fill: Fill
) -> tuple[Covariates | None, list[str]]:
    """The covariates of a panel from those of the sorted rows [R, F], and what is to be told of them.

    What is missing inside a series is filled with the last number before, and at its start with the next one.

    **Raises:** `InputError` on static columns that change, on columns without a number in a series, and on anything
    missing inside where `fill` is "error".
    """
    if not names.all:
        return None, []
    static = len(names.static)
    of_series = _unchanging(numbers[:, :static], names, runs)  # [N, static]
    inside, ahead = [], []
    for run, lasting in zip(runs, of_series, strict=True):
        grid = on_grid(numbers[run.first : run.rows.stop], run.places)  # [points + X_n, F]
        grid[:, :static] = lasting
        inside.append(grid[: run.points])
        ahead.append(grid[run.points :].copy())
        ahead[-1][:, static + len(names.known) :] = np.nan
    values = np.concatenate(inside)  # [P, F]
    notes = _fill(values, names, runs, step, fill)
    return Covariates(names.all, values, static + len(names.known), tuple(ahead), static), notes


def _unchanging(numbers: np.ndarray, names: CovariateNames, runs: Sequence[SeriesRows]) -> np.ndarray:
    """The one number of each series in each static column, [N, static]."""
    begins = [run.rows.start for run in runs]
    low, high = (extreme.reduceat(numbers, begins, axis=0) for extreme in (np.fmin, np.fmax))
    for n, column in np.argwhere(low != high):  # NaN where there is none
        name = names.static[column]
        if np.isnan(low[n, column]):
            raise InputError(f"series '{runs[n].name}' has no number in '{name}'; fill it in for one row at least")
        raise InputError(
            f"series '{runs[n].name}' has both {low[n, column]!s} and {high[n, column]!s} in '{name}', which is to be "
            "static; correct it, or name the column with --series.past or --series.known"
        )
    return low


def _fill(values: np.ndarray, names: CovariateNames, runs: Sequence[SeriesRows], step: Step, fill: Fill) -> list[str]:
    """Fills the gaps of `values` [P, F] where they are."""
    missing = np.isnan(values)
    if not missing.any():
        return []
    lengths = [run.points for run in runs]
    owners, starts = np.repeat(np.arange(len(runs)), lengths), np.cumsum([0, *lengths])
    points = np.arange(len(values))
    for column in np.flatnonzero(missing.any(axis=0)):
        there = ~missing[:, column]
        before = np.maximum.accumulate(np.where(there, points, -1))
        after = np.minimum.accumulate(np.where(there, points, len(points))[::-1])[::-1]
        source = np.where(before >= starts[owners], before, after)  # [P]
        empty = np.flatnonzero(source >= starts[owners + 1])
        if len(empty):
            raise InputError(
                f"series '{runs[owners[empty[0]]].name}' has no number in '{names.all[column]}' up to its last "
                "value; fill it in, or drop the column from the covariates"
            )
        values[:, column] = values[source, column]
    count = int(missing.sum())
    if fill == "error":
        point, column = np.argwhere(missing)[0]
        run = runs[owners[point]]
        when = times_from(run.start, step, int(point - starts[owners[point]]) + 1)[-1]
        raise InputError(
            f"series '{run.name}' has no '{names.all[column]}' at {when} ({count} numbers of covariates are "
            "missing in all); fill it in, or choose --series.fill last or linear"
        )
    total = len(values) * (len(names.known) + len(names.past))
    return [f"filled {count} of {total} numbers of covariates that were missing with the last one before, or the next"]

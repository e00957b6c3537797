"""A panel: one or many series, end to end in one array, with no copy of any part."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from models.data.covariates import NO_COVARIATES, CovariateNames, Covariates, covariate_numbers, read_covariates
from models.data.frequency import Step, time_before, times_from
from models.data.long_table import Fill as Fill
from models.data.long_table import checked_frame, fill_gaps, find_series, on_grid, range_notes, sorting_note
from models.errors import InputError


@dataclass(frozen=True)
class Panel:
    """N series with P points in all, regular in time.

    `values` is float64 [P]; `observed` is bool [P], false where a value was missing and has been filled;
    series n owns the points from `offsets[n]` up to `offsets[n + 1]`, one at least, and starts at time `first[n]`.
    `covariates`, where there are some, are the numbers known beside the values.
    """

    ids: tuple[str, ...]
    values: np.ndarray
    observed: np.ndarray
    offsets: np.ndarray
    first: tuple[np.generic, ...]
    step: Step
    covariates: Covariates | None = None

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

    def covariates_of(self, series: int, begin: int, count: int) -> np.ndarray:
        """The covariates of one series from its `begin`-th point on, also beyond its end: float32 [count, F].

        Beyond it static columns stay the same, known ones are those of the future rows, and past ones keep their last
        number. Without covariates F is 0.

        **Raises:** `InputError` where a column that is known ahead is not given as far as that.
        """
        if self.covariates is None:
            return np.empty((count, 0), np.float32)
        start, end = self.offsets[series], self.offsets[series + 1]
        rows = self.covariates.rows(series, start, end, begin, count)  # [count, F]
        missing = np.argwhere(np.isnan(rows))
        if len(missing):
            place, column = missing[0]
            times = self.times(series, begin, count)
            name = self.covariates.names[column]
            raise InputError(
                f"series '{self.ids[series]}' has no '{name}' at {times[place]}, where the forecast needs it; "
                f"give rows up to {times[-1]} without a value but with '{name}'"
            )
        return rows

    def head(self, ends: np.ndarray) -> "Panel":
        """The series cut short at the points `ends` [N], as a forecaster at that moment would see them.

        Covariates that are known ahead stay known behind the ends.
        """
        keep = np.arange(len(self.values)) < np.repeat(ends, self.ends - self.starts)  # [P]
        return replace(
            self,
            values=self.values[keep],
            observed=self.observed[keep],
            offsets=_offsets(ends - self.starts),
            covariates=self.covariates and self.covariates.head(keep, ends, self.ends),
        )

    def select(self, series: np.ndarray) -> "Panel":
        """The series with these numbers, in this order."""
        lengths = (self.ends - self.starts)[series]
        offsets = _offsets(lengths)
        points = np.repeat(self.starts[series] - offsets[:-1], lengths) + np.arange(offsets[-1])  # [P']
        return replace(
            self,
            ids=tuple(self.ids[n] for n in series),
            values=self.values[points],
            observed=self.observed[points],
            offsets=offsets,
            first=tuple(self.first[n] for n in series),
            covariates=self.covariates and self.covariates.take(points, series),
        )

    def padded(self, least: np.ndarray) -> "Panel":
        """The series with at least `least` [N] points each: the first one, not observed, is repeated in front.

        **Raises:** `InputError` where no time lies so far before the first one.
        """
        lengths = self.ends - self.starts
        lack = np.maximum(least - lengths, 0)  # [N]
        if not lack.any():
            return self
        offsets = _offsets(lengths + lack)
        place = np.arange(offsets[-1]) - np.repeat(offsets[:-1] + lack, lengths + lack)  # [P'], negative in front
        points = np.repeat(self.starts, lengths + lack) + np.maximum(place, 0)  # [P']
        return replace(
            self,
            values=self.values[points],
            observed=self.observed[points] & (place >= 0),
            offsets=offsets,
            first=tuple(time_before(time, self.step, int(n)) for time, n in zip(self.first, lack, strict=True)),
            covariates=self.covariates and self.covariates.take(points),
        )


def _offsets(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def one_series(name: str, values: np.ndarray) -> Panel:
    """A panel of a single complete series at the times 0, 1, 2, ..."""
    offsets = np.array([0, len(values)])
    return Panel((name,), values, np.ones(len(values), bool), offsets, (np.int64(0),), 1)


def panel_from_frame(
    frame: pd.DataFrame, fill: Fill, columns: CovariateNames = NO_COVARIATES
) -> tuple[Panel, list[str]]:
    """A panel from a long table, and what was done to the table on the way, a sentence each.

    **Arguments:** `frame` with the columns `unique_id`, `ds` (datetime64 or integer) and `y` (float, NaN where
    missing), rows in any order; `fill`, the rule for missing values; `columns`, which further ones are covariates,
    numbers as well. Where some of these are known ahead, rows behind a series' last value are no points but its future.

    **Raises:** `InputError` on doubled or irregular times, on infinities, on series without a value, on any missing
    value behind a series' first one where `fill` is "error", on covariates that are no numbers, are nowhere given or,
    as static ones, change, and on a table of another form.
    """
    checked = checked_frame(frame)
    numbers = covariate_numbers(frame, columns)  # [R, F]
    ordered = checked.sort_values(["unique_id", "ds"], kind="stable")
    runs, step = find_series(ordered, with_future=bool(columns.known))
    notes = sorting_note(ordered, runs) + range_notes(runs)

    values = ordered["y"].to_numpy()
    grids = [on_grid(values[run.first : run.stop], run.places[: run.stop - run.first]) for run in runs]
    observed = np.concatenate([np.isfinite(grid) for grid in grids])
    filled, more = fill_gaps(grids, runs, step, fill)
    covariates, still_more = read_covariates(numbers[ordered.index.to_numpy()], columns, runs, step, fill)
    panel = Panel(
        tuple(run.name for run in runs),
        filled,
        observed,
        _offsets(np.array([run.points for run in runs])),
        tuple(run.start for run in runs),
        step,
        covariates,
    )
    return panel, notes + more + still_more

"""A panel: one or many series, end to end in one array."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from models.data.covariates import NO_COVARIATES, CovariateNames, Covariates, covariate_numbers, read_covariates
from models.data.long_table import check_frame, fill_gaps, find_series, place_on_grid, range_notes, sorting_note
from models.data.steps import ONE, Step
from models.errors import InputError
from models.specs import Fill


@dataclass(frozen=True)
class Panel:
    """N series with P points in all, regular in time.

    `values` is float64 [P]; `observed` is bool [P], false where a value was missing and has been filled. Series n owns
    the points from `offsets[n]` up to `offsets[n + 1]`, at least one, and starts at the time `first[n]`.
    `covariates` are the numbers beside the values, None if there are none.
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
        """Index after each series' last point, int64 [N]."""
        return self.offsets[1:]

    def series_of(self, points: np.ndarray) -> np.ndarray:
        """Return the series that owns each point; the end of a series belongs to the next one."""
        return np.searchsorted(self.offsets, points, side="right") - 1

    def times(self, series: int, begin: int, count: int) -> np.ndarray:
        """Return `count` times of one series from its `begin`-th on, also beyond its end."""
        return self.step.times(self.first[series], begin + count)[begin:]

    def all_times(self) -> np.ndarray:
        """Return the time of every point, [P]."""
        lengths = self.ends - self.starts
        return np.concatenate([self.step.times(first, n) for first, n in zip(self.first, lengths, strict=True)])

    def with_values(self, values: np.ndarray) -> "Panel":
        """Return the same series with other values [P]."""
        return replace(self, values=values)

    def covariates_of(self, series: int, begin: int, count: int) -> np.ndarray:
        """Return the covariates of one series from its `begin`-th point on, also beyond its end: float32 [count, F].

        Beyond the end, static covariates stay the same, those known ahead come from the future rows, and past ones keep
        their last number. Without covariates F is 0.

        **Raises:** `InputError` if a covariate that is known ahead is not given that far.
        """
        if self.covariates is None:
            return np.empty((count, 0), np.float32)
        start, end = self.offsets[series], self.offsets[series + 1]
        rows = self.covariates.rows(series, start, end, begin, count)  # [count, F]
        missing = np.argwhere(np.isnan(rows))
        if len(missing):
            row, index = missing[0]
            times = self.times(series, begin, count)
            name = self.covariates.names[index]
            raise InputError(
                f"series '{self.ids[series]}' has no '{name}' at {times[row]}, where the forecast needs it; "
                f"give rows up to {times[-1]} without a value but with '{name}'"
            )
        return rows

    def select(self, series: np.ndarray) -> "Panel":
        """Return the series with these numbers, in this order."""
        lengths = (self.ends - self.starts)[series]
        offsets = _offsets(lengths)
        points = np.repeat(self.starts[series] - offsets[:-1], lengths) + np.arange(offsets[-1])  # [selected points]
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
        """Repeat the first point of short series in front until they have `least` [N] points; repeats are not observed.

        **Raises:** `InputError` if the time axis does not reach back that far.
        """
        lengths = self.ends - self.starts
        n_repeats = np.maximum(least - lengths, 0)  # [N]
        if not n_repeats.any():
            return self
        padded_lengths = lengths + n_repeats  # [N]
        offsets = _offsets(padded_lengths)
        position = np.arange(offsets[-1]) - np.repeat(offsets[:-1] + n_repeats, padded_lengths)  # [new points]
        points = np.repeat(self.starts, padded_lengths) + np.maximum(position, 0)  # [new points]
        return replace(
            self,
            values=self.values[points],
            observed=self.observed[points] & (position >= 0),
            offsets=offsets,
            first=tuple(self.step.time_before(time, int(n)) for time, n in zip(self.first, n_repeats, strict=True)),
            covariates=self.covariates and self.covariates.take(points),
        )


def _offsets(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def one_series(name: str, values: np.ndarray) -> Panel:
    """Return a panel of a single complete series at the times 0, 1, 2, ..."""
    offsets = np.array([0, len(values)])
    return Panel((name,), values, np.ones(len(values), bool), offsets, (np.int64(0),), ONE)


def panel_from_frame(
    frame: pd.DataFrame, fill: Fill, covariate_names: CovariateNames = NO_COVARIATES, step: Step | None = None
) -> tuple[Panel, list[str]]:
    """Return a panel from a long table, and a note, one sentence, on each change made to the table.

    **Arguments:** `frame` with the columns `unique_id`, `ds` (datetime64 or integer) and `y` (float, NaN where
    missing), rows in any order; `fill`, the rule for missing values; `covariate_names`, the further columns, of
    numbers, to read as covariates. If some of these are known ahead, rows after the last value of a series are not
    points but its future; `step`, the step that the times have to follow, by default the one that they do follow.

    **Raises:** `InputError` if the table has another form; if a series has a time twice, irregular times or no value;
    if a value is infinite; if `fill` is "error" and a value after the first one of a series is missing; if a covariate
    is not a number or has none in a series; and if a static covariate changes within a series.
    """
    checked = check_frame(frame)
    numbers = covariate_numbers(frame, covariate_names)  # [rows, F]
    ordered = checked.sort_values(["unique_id", "ds"], kind="stable")
    series_rows, step = find_series(ordered, bool(covariate_names.known), step)
    notes = sorting_note(ordered, series_rows) + range_notes(series_rows)

    values = ordered["y"].to_numpy()
    grids = []
    for series in series_rows:
        point_values = values[series.point_rows]
        grids.append(place_on_grid(point_values, series.grid_positions[: len(point_values)]))
    observed = np.concatenate([np.isfinite(grid) for grid in grids])
    filled, fill_notes = fill_gaps(grids, series_rows, step, fill)
    covariates, covariate_notes = read_covariates(
        numbers[ordered.index.to_numpy()], covariate_names, series_rows, step, fill
    )
    panel = Panel(
        tuple(series.name for series in series_rows),
        filled,
        observed,
        _offsets(np.array([series.n_points for series in series_rows])),
        tuple(series.start_time for series in series_rows),
        step,
        covariates,
    )
    return panel, notes + fill_notes + covariate_notes

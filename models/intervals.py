"""Prediction intervals about any forecast, from its past errors: split conformal prediction.

An interval reaches as far to both sides as the k-th smallest of n past absolute errors, k = ceil((n + 1) level). If
those errors and the next one are exchangeable, it holds the next value with a probability of at least the level, and,
if no two errors are equal, of at most 1 / (n + 1) more, whatever the forecaster and the distribution (Vovk, Gammerman
and Shafer, "Algorithmic Learning in a Random World", 2005; Lei, G'Sell, Rinaldo, Tibshirani and Wasserman,
"Distribution-Free Predictive Inference for Regression", 2018). Errors along a series are exchangeable only as long as
its behaviour does not change, and errors of several series only as far as their scales make them alike: measure the
coverage. Each step ahead has its own half-width, and the level holds for each step alone, not for a whole path.
"""

from bisect import bisect_left, insort
from dataclasses import dataclass

import numpy as np

FEWEST_ERRORS = 10
"""Fewest known errors from which a half-width is taken."""


@dataclass(frozen=True)
class Intervals:
    """Half-widths [S] of the intervals of each step ahead that hold `level` percent of the values.

    They are multiples of a scale of the series.
    """

    level: int
    half_widths: np.ndarray

    def around(self, forecast: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the lower and upper bounds, [M, steps] each, of forecasts [M, steps] of series with the scales [M].

        Steps beyond the S that have a half-width get NaN.
        """
        half_widths = np.full(forecast.shape[1], np.nan)  # [steps]
        half_widths[: len(self.half_widths)] = self.half_widths[: len(half_widths)]
        reach = scale[:, None] * half_widths  # [M, steps]
        return forecast - reach, forecast + reach


def conformal_half_widths(errors: np.ndarray, level: int) -> np.ndarray:
    """Return the half-widths [S] of intervals of `level` percent, each from a column of errors [n, S] of any sign.

    A half-width is the ceil((n + 1) level / 100)-th smallest of n absolute errors; those that are NaN do not count. If
    n is too small for that, the largest error is taken and the level is not reached; without any error it is NaN.
    """
    if len(errors) == 0:
        return np.full(errors.shape[1], np.nan)
    ordered = np.sort(np.abs(errors), axis=0)  # [n, S], NaN at the end
    rank = _rank(np.sum(~np.isnan(ordered), axis=0), level)  # [S]
    return np.take_along_axis(ordered, np.maximum(rank - 1, 0)[None], axis=0)[0]  # [S]


def fixed_half_widths(actual: np.ndarray, forecast: np.ndarray, scale: np.ndarray, level: int) -> np.ndarray:
    """Return the half-width of each step ahead, [S], from all origins and series of a part that was not trained on.

    A step with fewer than 10 known errors has none, NaN. The half-widths are multiples of the scale of a series.

    **Arguments:** `actual` [M, S], NaN if not known; `forecast` [M, S]; `scale` [M] of each origin's series, above 0;
    `level` in percent.
    """
    enough = (~np.isnan(actual)).sum(axis=0) >= FEWEST_ERRORS  # [S]
    return np.where(enough, conformal_half_widths((actual - forecast) / scale[:, None], level), np.nan)


def rolling_half_widths(
    actual: np.ndarray,
    forecast: np.ndarray,
    scale: np.ndarray,
    origins: np.ndarray,
    series: np.ndarray,
    level: int,
    recent: int,
) -> np.ndarray:
    """Return the half-width of each origin and step ahead, [M, S], from the errors that are known at the origin.

    They are the errors, in the same series and at the same step, of the `recent` latest origins whose actual value is
    known: the value at `origins[j] + s`, s from 0, is known from `origins[j] + s + 1` on. Missing values are skipped.
    With fewer than 10 known errors the half-width is NaN. The half-widths are multiples of the scale of a series.

    **Arguments:** `actual` [M, S], NaN if missing; `forecast` [M, S]; `scale` [M], above 0; `origins` [M], points,
    increasing within a series; `series` [M], the number of each origin's series, in any order; `level` in percent.
    """
    errors = np.abs(actual - forecast) / scale[:, None]  # [M, S]
    half_widths = np.full(errors.shape, np.nan)  # [M, S]
    order = np.argsort(series, kind="stable")  # [M], series by series
    begins = np.flatnonzero(np.diff(series[order])) + 1
    for rows in np.split(order, begins):
        if len(rows) <= FEWEST_ERRORS:
            continue
        points = origins[rows]  # [m], the m origins of one series
        if (np.diff(points) <= 0).any():
            raise AssertionError("origins increase within a series")
        for step in range(errors.shape[1]):
            n_known = np.searchsorted(points, points - step)  # [m], earlier origins whose value at the step is known
            if n_known[-1] >= FEWEST_ERRORS:
                half_widths[rows, step] = _half_widths_of_prefixes(errors[rows, step], level, recent, n_known)
    return half_widths


def _half_widths_of_prefixes(errors: np.ndarray, level: int, recent: int, lengths: np.ndarray) -> np.ndarray:
    """Return a half-width for each of the m `lengths`: from the last `recent` known ones of the first so many errors.

    **Arguments:** `errors` [m], absolute, NaN if not known; `lengths` [m].
    """
    is_known = ~np.isnan(errors)
    values = errors[is_known].tolist()
    counts = np.concatenate([[0], np.cumsum(is_known)])[lengths]  # [m], known errors of each prefix
    ranks = _rank(np.minimum(np.arange(len(values) + 1), recent), level).tolist()
    half_widths = [np.nan] * (len(values) + 1)
    window: list[float] = []  # the last `recent` errors, sorted
    for count, value in enumerate(values[: counts.max()], start=1):
        if count > recent:
            del window[bisect_left(window, values[count - 1 - recent])]
        insort(window, value)
        if count >= FEWEST_ERRORS:
            half_widths[count] = window[ranks[count] - 1]
    return np.array(half_widths)[counts]


def _rank(counts: np.ndarray, level: int) -> np.ndarray:
    """Return the rank, from 1, of the half-width among `counts` sorted errors; integers, as a float 0.9 is inexact."""
    return np.minimum(-(-(counts + 1) * level // 100), counts)

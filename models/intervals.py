"""Intervals about any forecast, from how far it was off before: split conformal prediction.

An interval reaches as far to both sides as the k-th smallest of n past absolute errors, k = ceil((n + 1) level). Where
those errors and the next are exchangeable, it holds the next value with a probability of at least the level, and, if no
two errors are equal, of at most 1 / (n + 1) more, whatever the forecaster and the distribution (Vovk, Gammerman and
Shafer, "Algorithmic Learning in a Random World", 2005; Lei, G'Sell, Rinaldo, Tibshirani and Wasserman,
"Distribution-Free Predictive Inference for Regression", 2018). Errors along a series are exchangeable only while it
keeps its ways, and those of several series only as far as their units make them alike: measure the coverage.
Each step ahead has its own size, and its level holds for it alone, not for a whole path.
"""

from bisect import bisect_left, insort
from dataclasses import dataclass

import numpy as np

LEAST = 10
"""Fewest known errors that a size is taken from."""


@dataclass(frozen=True)
class Intervals:
    """Sizes [S] of the intervals of each step ahead, in units of a series, that hold `level` percent of the values."""

    level: int
    sizes: np.ndarray

    def around(self, forecast: np.ndarray, unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The lower and upper bounds, [M, S'] each, of forecasts [M, S'] of series with the units [M].

        Steps beyond the S that have a size get NaN.
        """
        sizes = np.full(forecast.shape[1], np.nan)  # [S']
        sizes[: len(self.sizes)] = self.sizes[: len(sizes)]
        reach = unit[:, None] * sizes  # [M, S']
        return forecast - reach, forecast + reach


def conformal_half_width(errors: np.ndarray, level: int) -> float:
    """The size of the interval of `level` percent from errors [n] of any sign, NaN left out.

    It is the ceil((n + 1) level / 100)-th smallest absolute error. Where n is too small for that, the largest stands in
    and the level is not reached; with no error at all it is NaN.
    """
    return float(conformal_half_widths(errors[:, None], level)[0])


def conformal_half_widths(errors: np.ndarray, level: int) -> np.ndarray:
    """`conformal_half_width` of each column of errors [n, S], as [S]."""
    if len(errors) == 0:
        return np.full(errors.shape[1], np.nan)
    ordered = np.sort(np.abs(errors), axis=0)  # [n, S], NaN at the end
    rank = _rank(np.sum(~np.isnan(ordered), axis=0), level)  # [S]
    return np.take_along_axis(ordered, np.maximum(rank - 1, 0)[None], axis=0)[0]  # [S]


def fixed_half_widths(actual: np.ndarray, forecast: np.ndarray, unit: np.ndarray, level: int) -> np.ndarray:
    """The size of each step ahead, [S] in units, from all origins and series of a part that was not trained on.

    A step with fewer than 10 known errors has none, NaN.

    **Arguments:** `actual` [M, S], NaN where not known; `forecast` [M, S]; `unit` [M] of each origin's series, above 0;
    `level` in percent.
    """
    enough = (~np.isnan(actual)).sum(axis=0) >= LEAST  # [S]
    return np.where(enough, conformal_half_widths((actual - forecast) / unit[:, None], level), np.nan)


def rolling_half_widths(
    actual: np.ndarray,
    forecast: np.ndarray,
    unit: np.ndarray,
    origins: np.ndarray,
    series: np.ndarray,
    level: int,
    recent: int,
) -> np.ndarray:
    """The size of each origin and step ahead, [M, S] in units, from what was known of its series by then.

    They come from the errors at the same step of the `recent` latest origins whose outcome the origin knows: the value
    at `origins[j] + s`, s from 0, is known from `origins[j] + s + 1` on. Outcomes that are missing are passed over.
    Where fewer than 10 are known, the size is NaN.

    **Arguments:** `actual` [M, S], NaN where missing; `forecast` [M, S]; `unit` [M], above 0; `origins` [M], points,
    increasing within a series; `series` [M], the number of each origin's series, in any order; `level` in percent.
    """
    errors = np.abs(actual - forecast) / unit[:, None]
    sizes = np.full(errors.shape, np.nan)
    order = np.argsort(series, kind="stable")
    begins = np.flatnonzero(np.diff(series[order])) + 1
    for rows in np.split(order, begins):
        if len(rows) <= LEAST:
            continue
        own = origins[rows]  # [m]
        if (np.diff(own) <= 0).any():
            raise AssertionError("origins increase within a series")
        for step in range(errors.shape[1]):
            by_then = np.searchsorted(own, own - step)  # [m], origins whose outcome lies before
            if by_then[-1] >= LEAST:
                sizes[rows, step] = _sizes_of_prefixes(errors[rows, step], level, recent, by_then)
    return sizes


def _sizes_of_prefixes(errors: np.ndarray, level: int, recent: int, lengths: np.ndarray) -> np.ndarray:
    """The sizes [m] from the last `recent` known errors of each of the first `lengths` [m] of absolute errors."""
    known = ~np.isnan(errors)
    values = errors[known].tolist()
    counts = np.concatenate([[0], np.cumsum(known)])[lengths]  # [m], known errors of each prefix
    ranks = _rank(np.minimum(np.arange(len(values) + 1), recent), level).tolist()
    sizes = [np.nan] * (len(values) + 1)
    window: list[float] = []
    for count, value in enumerate(values[: counts.max()], start=1):
        if count > recent:
            del window[bisect_left(window, values[count - 1 - recent])]
        insort(window, value)
        if count >= LEAST:
            sizes[count] = window[ranks[count] - 1]
    return np.array(sizes)[counts]


def _rank(counts: np.ndarray, level: int) -> np.ndarray:
    """Which of so many errors, from 1, is the size; in integers, since 0.9 in floats is a little off."""
    return np.minimum(-(-(counts + 1) * level // 100), counts)

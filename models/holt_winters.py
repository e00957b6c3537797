"""Holt-Winters' damped method: the level, trend and season of each series, smoothed from value to value."""

from collections.abc import Iterator
from itertools import pairwise, product

import numpy as np

from models.data.panel import Panel
from models.data.windows import actual_values
from models.metrics import naive_scale

LEVEL_RATES = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
TREND_RATES = (0.0, 0.02, 0.1, 0.3)
SEASON_RATES = (0.0, 0.05, 0.15, 0.4)
DAMPINGS = (0.9, 0.98)
"""What is tried: how fast level, trend and season follow the errors, and the share of the trend that a step keeps."""
USUAL_RATES = (0.2, 0.0, 0.15, 0.98)
"""The rates and the damping where there is nothing to choose them by."""
BLOCK = 10_000
"""Least values, or seasons times 10, that are smoothed before an origin: what came earlier is forgotten."""
MOST_ORIGINS, MOST_SERIES, MOST_SEASONALS = 5_000, 100, 50_000
"""Most origins, series, and seasonal deviations of these series, by which the rates are chosen."""


class Smoothing:
    """The states of R series in G smoothings each, after the same number of values of every series.

    The mean of the first season is the first level, and what differs from it the first season; the trend begins at 0. A
    missing value leaves level and season as they are.

    **Arguments:** `first` [R], the level before the first value; `rates` [4, G], those of level, trend and season, and
    the damping.
    """

    def __init__(self, first: np.ndarray, season: int, rates: np.ndarray):
        self.rates, self.position = rates, 0
        self.level = np.repeat(first[:, None].astype(float), rates.shape[1], axis=1)  # [R, G]
        self.trend, self.counts = np.zeros_like(self.level), np.zeros((len(first), 1))
        self.seasonal = np.zeros((season, *self.level.shape))  # [season, R, G]

    def read(self, values: np.ndarray, is_known: np.ndarray) -> None:
        """Read the next values [r, 1] of the first r series; the others have ended."""
        r, phase = len(values), self.position % len(self.seasonal)
        level, trend, seasonal = self.level[:r], self.trend[:r], self.seasonal[:, :r]  # views of what goes on
        if self.position < len(seasonal):
            self.counts[:r] += is_known
            level += np.where(is_known, (values - level) / np.maximum(self.counts[:r], 1), 0)
            seasonal[phase] = np.where(is_known, values, np.nan)
            if self.position == len(seasonal) - 1:
                seasonal -= level
                seasonal[np.isnan(seasonal)] = 0
        else:
            of_level, of_trend, of_season, damping = self.rates  # [G] each
            trend *= damping
            errors = np.where(is_known, values - level - trend - seasonal[phase], 0)  # [r, G]
            level += trend + of_level * errors
            trend += of_trend * errors
            seasonal[phase] += of_season * (1 - of_level) * errors
        self.position += 1

    def forecast(self, rows: np.ndarray, steps: int) -> np.ndarray:
        """Return forecasts [m, steps, G] of the next values of the series `rows` [m]."""
        ahead = np.arange(1, steps + 1)
        damped = np.cumsum(self.rates[3] ** ahead[:, None], axis=0)  # [steps, G]
        forecasts: np.ndarray = self.level[rows, None] + damped * self.trend[rows, None]  # [m, steps, G]
        if self.position >= len(self.seasonal):
            phases = (self.position - 1 + ahead) % len(self.seasonal)  # [steps]
            forecasts += self.seasonal[phases][:, rows].swapaxes(0, 1)  # [m, steps, G]
        return forecasts


class HoltWinters:
    """Additive exponential smoothing with a damped trend; all series share its rates.

    After Hyndman and Athanasopoulos, "Forecasting: Principles and Practice", 3rd edition, section 8.3.
    """

    def __init__(self, season: int, horizon: int):
        self.season, self.horizon, self.rates = season, horizon, np.array(USUAL_RATES)
        self.block = max(BLOCK, 10 * season)

    def fit(self, panel: Panel, train: np.ndarray) -> None:
        """Choose the rates with the lowest mean absolute error over S steps, up to the last of the origins `train` [M].

        The errors of a series count in units of its mean absolute change from one value to the next.
        """
        if len(train) == 0:
            return
        panel, ends = self._sample(panel, train)
        begins = np.maximum(panel.starts + self.season, ends - self.block)
        origins = np.concatenate([np.arange(a, b) for a, b in zip(begins, ends, strict=True)])  # [M]
        origins = origins[:: -(-len(origins) // MOST_ORIGINS) or 1]
        scales = np.nan_to_num(naive_scale(panel, ends, 1), nan=1.0)[panel.series_of(origins - 1)]  # [M]
        actual = actual_values(panel, origins, self.horizon, ends)  # [M, S]
        seasons = SEASON_RATES if self.season > 1 else (0.0,)
        tried = [rates for rates in product(LEVEL_RATES, TREND_RATES, seasons, DAMPINGS) if rates[1] <= rates[0]]
        candidates, sums = np.array(tried).T, np.zeros(len(tried))  # [4, G] and [G]
        for due, forecasts in self._smooth(panel, origins, self.horizon, candidates):
            errors = np.abs(actual[due, :, None] - forecasts) / scales[due, None, None]  # [m, S, G]
            sums += np.nansum(errors, axis=(0, 1))
        if np.isfinite(sums).any() and sums.any():
            self.rates = candidates[:, np.nanargmin(sums)]

    def _sample(self, panel: Panel, train: np.ndarray) -> tuple[Panel, np.ndarray]:
        """Return some of the series that have origins in `train` [M], evenly spaced, and the ends of what is known."""
        series, ends = panel.series_of(train - 1), panel.starts.copy()  # [M] and [N]
        np.maximum.at(ends, series, train + 1)
        chosen = np.unique(series)
        chosen = chosen[:: -(-len(chosen) // min(MOST_SERIES, MOST_SEASONALS // self.season or 1)) or 1]
        known = (ends - panel.starts)[chosen]
        panel = panel.select(chosen)
        return panel, panel.starts + known

    def predict(self, panel: Panel, origins: np.ndarray) -> np.ndarray:
        """Return forecasts [M, S] from each origin on."""
        return self.extend(panel, self.horizon, origins)

    def extend(self, panel: Panel, steps: int, origins: np.ndarray | None = None) -> np.ndarray:
        """Return forecasts [M, steps] from each origin on, by default from the ends of the N series."""
        origins = panel.ends if origins is None else origins
        forecasts = np.empty((len(origins), steps))
        for due, ahead in self._smooth(panel, origins, steps, self.rates[:, None]):
            forecasts[due] = ahead[..., 0]
        return forecasts

    def _smooth(
        self, panel: Panel, origins: np.ndarray, steps: int, rates: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the places [m] of some origins and forecasts [m, steps, G] from them, until all [M] have had theirs.

        All stretches are smoothed side by side.
        """
        begins, lengths, rows = self._stretches(panel, origins)
        smoothing = Smoothing(panel.values[begins], min(self.season, int(lengths.max(initial=0)) + 1), rates)
        positions = origins - begins[rows]  # [M]
        by_position = np.argsort(positions, kind="stable")
        bounds = np.searchsorted(positions[by_position], np.arange(lengths.max(initial=-1) + 2))
        for position, (first, last) in enumerate(pairwise(bounds)):
            if first < last:
                due = by_position[first:last]
                yield due, smoothing.forecast(rows[due], steps)
            points = begins[lengths > position] + position
            smoothing.read(panel.values[points, None], panel.observed[points, None])

    def _stretches(self, panel: Panel, origins: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the first points and lengths [R] of what is smoothed, the longest first, and the row of each origin.

        A stretch begins at the first observed value of a series, or one or two blocks before its origins.
        """
        starts = panel.starts[panel.series_of(origins - 1)]  # [M]
        begins = starts + np.maximum((origins - 1 - starts) // self.block - 1, 0) * self.block  # [M]
        observed = np.append(np.flatnonzero(panel.observed), len(panel.values))
        begins = np.minimum(observed[np.searchsorted(observed, begins)], origins - 1)
        begins, rows = np.unique(begins, return_inverse=True)  # [R] and [M]
        lengths = np.zeros(len(begins), int)
        np.maximum.at(lengths, rows, origins - begins[rows])
        order = np.argsort(-lengths, kind="stable")
        return begins[order], lengths[order], np.argsort(order)[rows]

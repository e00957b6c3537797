"""The baselines that every forecast has to beat: the last value, the last season, and a linear autoregression.

A fourth one, Holt-Winters' method, has a file of its own.
"""

from collections.abc import Iterator

import numpy as np

from models.data.panel import Panel
from models.data.windows import contexts, target_windows
from models.holt_winters import HoltWinters
from models.network import Network, WindowedNetwork


class SeasonalNaive:
    """Repeats the values of the last season; with season 1, the last value.

    A step whose value one season ago lies before the start of the series gets the last value.
    """

    def __init__(self, season: int, horizon: int):
        self.season, self.horizon = season, horizon

    def predict(self, panel: Panel, origins: np.ndarray) -> np.ndarray:
        """Return forecasts [M, S] from each origin on."""
        return self.extend(panel, self.horizon, origins)

    def extend(self, panel: Panel, steps: int, origins: np.ndarray | None = None) -> np.ndarray:
        """Return forecasts [M, steps] from each origin on, by default from the ends of the N series."""
        origins = panel.ends if origins is None else origins
        starts = panel.starts[panel.series_of(origins - 1)]  # [M]
        steps_back = self.season - np.arange(steps) % self.season  # [steps]
        sources = origins[:, None] - steps_back  # [M, steps]
        return panel.values[np.where(sources < starts[:, None], origins[:, None] - 1, sources)]


MOST_LAGS = 512
"""Most past values that the linear autoregression reads: its cost grows with their square."""
MOST_WINDOWS = 50_000
"""Most windows that it is fitted to, evenly spaced among all."""


class Autoregression(WindowedNetwork):
    """Linear autoregression: the next value is a constant plus a weighted sum of the last T, by least squares.

    All series share one set of weights. Of a longer window it reads the last 512 values. It forecasts one step, and
    further steps from its own forecasts. On a noiseless sine it is exact from T = 2 on.
    """

    def __init__(self, length: int, horizon: int):
        self.length, self.horizon = min(length, MOST_LAGS), horizon
        self.weights: np.ndarray = np.zeros(self.length + 1)  # the constant is the last

    def fit(self, panel: Panel, train: np.ndarray) -> None:
        """Fit by least squares to the origins `train` [M], or to 50,000 of them, with a QR decomposition in chunks.

        Origins whose value is missing are left out; where none remains, every forecast is 0. Of weights that fit
        equally well the smallest are taken, so that rounding errors die out.
        """
        train = train[panel.observed[train]]
        triangle = np.empty((0, self.length + 2))  # then [at most T + 2, T + 2], the R of the QR decomposition
        sample = train[:: -(-len(train) // MOST_WINDOWS) or 1]
        for rows in self._linear_system(panel.values, sample):
            triangle = np.asarray(np.linalg.qr(np.concatenate([triangle, rows]), mode="r"))
        self.weights = np.linalg.lstsq(triangle[:, :-1], triangle[:, -1], rcond=1e-12)[0]  # [T + 1]

    def _linear_system(self, values: np.ndarray, train: np.ndarray) -> Iterator[np.ndarray]:
        """Yield rows [m, T + 2] of the linear system: T values, 1, and the target."""
        done = 0
        for windows in contexts(values, train, self.length):
            origins = train[done : done + len(windows)]
            done += len(windows)
            constant = np.ones((len(windows), 1))
            yield np.concatenate([windows, constant, target_windows(values, origins, 1)], axis=1)  # [m, T + 2]

    def predict_windows(self, windows: np.ndarray) -> np.ndarray:
        """Return one-step forecasts [M, 1] from windows [M, T]."""
        return (windows @ self.weights[:-1] + self.weights[-1])[:, None]  # [M, 1]

    def predict(self, panel: Panel, origins: np.ndarray) -> np.ndarray:
        """Return forecasts [M, S] from each origin on."""
        return self.extend(panel, self.horizon, origins)


class LinearAR(Autoregression):
    """The linear autoregression of series in their own units: each is scaled by its own training part."""

    def __init__(self, length: int, horizon: int):
        super().__init__(length, horizon)
        self.offsets, self.scales = np.zeros(0), np.zeros(0)  # [N] each, of the series that it was fitted to

    def fit(self, panel: Panel, train: np.ndarray) -> None:
        """Fit to the origins `train` [M], after scaling each series by the values before its training origins.

        This keeps series far from zero well conditioned.
        """
        train = train[panel.observed[train]]
        series, past = panel.series_of(train - 1), panel.values[train - 1]  # [M] each
        counts = np.maximum(np.bincount(series, minlength=len(panel.ids)), 1)  # [N]
        self.offsets = np.bincount(series, past, len(counts)) / counts
        largest = np.ones(len(counts))  # [N]; squares of values divided by it do not overflow
        np.maximum.at(largest, series, np.abs(past))
        squares = np.bincount(series, ((past - self.offsets[series]) / largest[series]) ** 2, len(counts)) / counts
        self.scales = np.where(squares > 0, np.sqrt(squares) * largest, 1.0)
        super().fit(self._scale(panel), train)

    def _scale(self, panel: Panel) -> Panel:
        lengths = panel.ends - panel.starts
        return panel.with_values((panel.values - np.repeat(self.offsets, lengths)) / np.repeat(self.scales, lengths))

    def extend(self, panel: Panel, steps: int, origins: np.ndarray | None = None) -> np.ndarray:
        """Return forecasts [M, steps] from each origin on, of the series it was fitted to; by default from the ends."""
        origins = panel.ends if origins is None else origins
        series = panel.series_of(origins - 1)
        scaled = super().extend(self._scale(panel), steps, origins)  # [M, steps]
        return scaled * self.scales[series, None] + self.offsets[series, None]


NAIVE = ("last_value", "seasonal_naive")
BASELINES = (*NAIVE, "linear_ar", "holt_winters")


def fit_baseline(name: str, panel: Panel, train: np.ndarray, length: int, horizon: int, season: int) -> Network:
    """Return the baseline of that name, fitted to the origins `train` [M] if it has anything to fit."""
    if name in NAIVE:
        return SeasonalNaive(season if name == "seasonal_naive" else 1, horizon)
    network = LinearAR(length, horizon) if name == "linear_ar" else HoltWinters(season, horizon)
    network.fit(panel, train)
    return network

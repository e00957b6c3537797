"""What every forecast has to beat: the last value, the last season, and a line through the past."""

from collections.abc import Iterator

import numpy as np

from models.data.panel import Panel
from models.data.windows import contexts, target_windows
from models.network import WindowedNetwork


class SeasonalNaive:
    """Repeats the value of one season ago; with season 1, the last value.

    Where a series is not yet a season old, the last value stands in.
    """

    def __init__(self, season: int, horizon: int):
        self.season, self.horizon = season, horizon

    def predict(self, panel: Panel, origins: np.ndarray) -> np.ndarray:
        """Forecasts [M, S] from each origin on."""
        return self.extend(panel, self.horizon, origins)

    def extend(self, panel: Panel, steps: int, origins: np.ndarray | None = None) -> np.ndarray:
        """Forecasts [M, steps] from each origin on, by default from the ends of the N series."""
        origins = panel.ends if origins is None else origins
        return self._repeat(panel, origins, panel.starts[panel.series_of(origins - 1)], steps)

    def _repeat(self, panel: Panel, origins: np.ndarray, starts: np.ndarray, steps: int) -> np.ndarray:
        back = self.season - np.arange(steps) % self.season  # [S]
        sources = origins[:, None] - back  # [M, S]
        return panel.values[np.where(sources < starts[:, None], origins[:, None] - 1, sources)]


MOST_LAGS = 512
"""Most past values that the linear autoregression reads: its cost grows with their square."""
MOST_WINDOWS = 50_000
"""Most windows that it is fitted to, evenly drawn."""


class LinearAR(WindowedNetwork):
    """Linear autoregression: the next value as a constant and a weighted sum of the last T, by least squares.

    One set of weights for all series, each centred and scaled by its own training part. Of more than 512 values it
    reads the last 512. Further steps come from its own forecasts. On a noiseless sine it is exact, from T = 2 on.
    """

    def __init__(self, length: int, horizon: int):
        self.length, self.horizon = min(length, MOST_LAGS), horizon
        self.weights: np.ndarray = np.zeros(self.length + 1)  # the constant last
        self.centre, self.size = np.zeros(0), np.zeros(0)  # [N] each, of the series that it was fitted to

    def fit(self, panel: Panel, train: np.ndarray) -> None:
        """Least squares over the origins `train` [M], or 50,000 of them, by a QR decomposition that grows in chunks.

        An origin whose value was missing tells nothing; if all do, every forecast is 0.

        Series are centred and scaled by the values that the training sees, which keeps those far from zero well
        conditioned. Where many weights fit alike, the smallest are taken: they let rounding errors die out.
        """
        train = train[panel.observed[train]]
        series, seen = panel.series_of(train - 1), panel.values[train - 1]  # [M] each
        counts = np.maximum(np.bincount(series, minlength=len(panel.ids)), 1)  # [N]
        self.centre = np.bincount(series, seen, len(counts)) / counts
        largest = np.ones(len(counts))  # [N]; of values that are divided by it, no square overflows
        np.maximum.at(largest, series, np.abs(seen))
        squares = np.bincount(series, ((seen - self.centre[series]) / largest[series]) ** 2, len(counts)) / counts
        self.size = np.where(squares > 0, np.sqrt(squares) * largest, 1.0)
        triangle = np.empty((0, self.length + 2))
        drawn = train[:: -(-len(train) // MOST_WINDOWS) or 1]
        for rows in self._systems(self._scaled(panel).values, drawn):
            triangle = np.asarray(np.linalg.qr(np.concatenate([triangle, rows]), mode="r"))
        self.weights = np.linalg.lstsq(triangle[:, :-1], triangle[:, -1], rcond=1e-12)[0]  # [T + 1]

    def _systems(self, values: np.ndarray, train: np.ndarray) -> Iterator[np.ndarray]:
        """Rows [m, T values, 1, target] of the linear system."""
        done = 0
        for windows in contexts(values, train, self.length):
            origins = train[done : done + len(windows)]
            done += len(windows)
            constant = np.ones((len(windows), 1))
            yield np.concatenate([windows, constant, target_windows(values, origins, 1)], axis=1)  # [m, T + 2]

    def _scaled(self, panel: Panel) -> Panel:
        lengths = panel.ends - panel.starts
        return panel.with_values((panel.values - np.repeat(self.centre, lengths)) / np.repeat(self.size, lengths))

    def predict(self, panel: Panel, origins: np.ndarray) -> np.ndarray:
        """Forecasts [M, S] of the S values from each origin on, of the series that it was fitted to."""
        return self.extend(panel, self.horizon, origins)

    def extend(self, panel: Panel, steps: int, origins: np.ndarray | None = None) -> np.ndarray:
        """Forecasts [M, steps] from each origin on, of the series that it was fitted to; by default from their ends."""
        origins = panel.ends if origins is None else origins
        series = panel.series_of(origins - 1)
        return super().extend(self._scaled(panel), steps, origins) * self.size[series, None] + self.centre[series, None]

    def predict_windows(self, windows: np.ndarray) -> np.ndarray:
        """One step [M, 1] from scaled windows [M, T]."""
        return (windows @ self.weights[:-1] + self.weights[-1])[:, None]


NAIVE = ("last_value", "seasonal_naive")
BASELINES = (*NAIVE, "linear_ar")


def fit_baseline(
    name: str, panel: Panel, train: np.ndarray, length: int, horizon: int, season: int
) -> "SeasonalNaive | LinearAR":
    """The baseline of that name, fitted on the origins `train` [M] where it has anything to fit."""
    if name == "linear_ar":
        network = LinearAR(length, horizon)
        network.fit(panel, train)
        return network
    return SeasonalNaive(season if name == "seasonal_naive" else 1, horizon)

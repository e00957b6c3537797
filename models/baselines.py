"""What every forecast has to beat: the last value, the last season, and a line through the past."""

from collections.abc import Iterator

import numpy as np

from models.network import WindowedNetwork
from models.panel import Panel
from models.windows import contexts, recurse, targets


class SeasonalNaive:
    """Repeats the value of one season ago; with season 1, the last value.

    Where a series is not yet a season old, the last value stands in.
    """

    def __init__(self, season: int, horizon: int):
        self.season, self.horizon = season, horizon

    def predict(self, panel: Panel, origins: np.ndarray) -> np.ndarray:
        """Forecasts [M, S] from each origin on."""
        return self._repeat(panel, origins, panel.starts[panel.series_of(origins - 1)], self.horizon)

    def extend(self, panel: Panel, steps: int) -> np.ndarray:
        """Forecasts [N, steps] beyond the end of each series."""
        return self._repeat(panel, panel.ends, panel.starts, steps)

    def _repeat(self, panel: Panel, origins: np.ndarray, starts: np.ndarray, steps: int) -> np.ndarray:
        back = self.season - np.arange(steps) % self.season  # [S]
        sources = origins[:, None] - back  # [M, S]
        return panel.values[np.where(sources < starts[:, None], origins[:, None] - 1, sources)]


MOST_LAGS = 512
"""Most past values that the linear autoregression reads: its cost grows with their square."""


class LinearAR(WindowedNetwork):
    """Linear autoregression: the next value as a constant and a weighted sum of the last T, by least squares.

    Of more than 512 values it reads the last 512. Further steps come from its own forecasts. On a noiseless sine it is
    exact, from T = 2 on.
    """

    def __init__(self, length: int, horizon: int):
        self.length, self.horizon = min(length, MOST_LAGS), horizon
        self.weights: np.ndarray = np.zeros(self.length + 1)  # the constant last
        self.centre = 0.0

    def fit(self, panel: Panel, train: np.ndarray) -> None:
        """Least squares over the origins `train` [M], by a QR decomposition that grows a chunk at a time.

        The values are centred and scaled by those that the training sees, which keeps series far from zero well
        conditioned. Where many weights fit alike, the smallest are taken: they let rounding errors die out.
        """
        seen = panel.values[train - 1]  # [M]
        self.centre, size = seen.mean(), seen.std() or 1.0
        triangle = np.empty((0, self.length + 2))
        for rows in self._systems((panel.values - self.centre) / size, train):
            triangle = np.asarray(np.linalg.qr(np.concatenate([triangle, rows]), mode="r"))
        self.weights = np.linalg.lstsq(triangle[:, :-1], triangle[:, -1], rcond=1e-12)[0]  # [T + 1]
        self.weights[-1] *= size

    def _systems(self, values: np.ndarray, train: np.ndarray) -> Iterator[np.ndarray]:
        """Rows [m, T values, 1, target] of the linear system."""
        done = 0
        for windows in contexts(values, train, self.length):
            origins = train[done : done + len(windows)]
            done += len(windows)
            constant = np.ones((len(windows), 1))
            yield np.concatenate([windows, constant, targets(values, origins, 1)], axis=1)  # [m, T + 2]

    def predict_windows(self, windows: np.ndarray) -> np.ndarray:
        """Forecasts [M, S] from windows [M, T]."""
        return recurse(self._next, windows - self.centre, self.horizon) + self.centre

    def _next(self, windows: np.ndarray) -> np.ndarray:
        """One step [M, 1] from centred windows [M, T]."""
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

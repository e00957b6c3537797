"""What every forecaster offers, whatever is inside."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from models.data.panel import Panel
from models.data.windows import CHUNK, contexts, forecast_recursively, refuse_short_past

State = dict[str, np.ndarray]
"""All that a training needs to go on as if nothing had happened, by name; `epoch` [] is the last one it holds."""


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training windows came to, a number a member, [K] each.

    Losses are mean squared errors (halved where the procedure says so) in the scale that the network sees;
    `val_loss` is None without a validation part. `running` tells which members were still being trained, and
    `diverged` those of them whose loss or weights stopped being finite numbers: their training ends, and their last
    good weights stay. `state` copies where the training stands, until the next epoch is asked for.
    """

    number: int
    train_loss: np.ndarray
    val_loss: np.ndarray | None
    running: np.ndarray
    diverged: np.ndarray
    state: Callable[[], State]


class Layout(NamedTuple):
    """What a network is made to fit beside its spec.

    F covariates, the first `known` of them known ahead, and the series that have networks of their own, where each has.
    """

    n_covariates: int = 0
    n_known: int = 0
    ids: tuple[str, ...] = ()


PLAIN = Layout()


class Network(Protocol):
    """Maps a panel's past to its future, in the panel's scale."""

    def predict(self, panel: Panel, origins: np.ndarray) -> np.ndarray:
        """Forecasts [M, S] of the S values from each origin on, from the values before it alone."""

    def extend(self, panel: Panel, steps: int, origins: np.ndarray | None = None) -> np.ndarray:
        """Forecasts [M, steps] from each origin on, also beyond S, from its own forecasts; by default from the ends."""


class TrainedNetwork(Network, Protocol):
    """A network that learns by epochs and whose weights can be kept; `dtype` is what it wants values in."""

    dtype: type[np.floating]
    layout: Layout

    def fit(
        self, panel: Panel, train: np.ndarray, validation: np.ndarray | None, resume: State | None = None
    ) -> Iterator[Epoch]:
        """Train on the origins `train` [M]; when done or left, the best weights so far are in place.

        With the state of an earlier epoch to `resume`, it goes on behind that one, bit for bit as it went on then.
        """

    def state(self) -> dict[str, np.ndarray]:
        """The weights by name."""

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Put weights in place that `state` gave."""


class WindowedNetwork(ABC):
    """A network that sees a fixed number of past values, T, and answers S at once."""

    length: int
    horizon: int
    dtype: type[np.floating] = np.float64
    layout = PLAIN

    @abstractmethod
    def predict_windows(self, windows: np.ndarray) -> np.ndarray:
        """Forecasts [M, S] from windows [M, T]."""

    def predict(self, panel: Panel, origins: np.ndarray) -> np.ndarray:
        """Forecasts [M, S] of the S values from each origin on.

        **Raises:** `InputError` where a series has fewer than T values before an origin.
        """
        refuse_short_past(panel, origins, self.length)
        parts = [self.predict_windows(windows) for windows in contexts(panel.values, origins, self.length)]
        return np.concatenate(parts) if parts else np.empty((0, self.horizon))

    def extend(self, panel: Panel, steps: int, origins: np.ndarray | None = None) -> np.ndarray:
        """Forecasts [M, steps] from each origin on, by default from the ends of the N series.

        **Raises:** `InputError` where a series has fewer than T values before an origin.
        """
        origins = panel.ends if origins is None else origins
        refuse_short_past(panel, origins, self.length)
        size = max(1, CHUNK // (self.length + steps))
        parts = [self._extend(panel, steps, origins[i : i + size]) for i in range(0, len(origins), size)]
        return np.concatenate(parts) if parts else np.empty((0, steps))

    def _extend(self, panel: Panel, steps: int, origins: np.ndarray) -> np.ndarray:
        windows = np.concatenate(list(contexts(panel.values, origins, self.length)))  # [M, T]
        return forecast_recursively(lambda windows, _: self.predict_windows(windows), windows, steps)

"""The interface that all networks share, whatever they compute."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from models.data.panel import Panel
from models.data.windows import CHUNK, contexts, forecast_recursively, refuse_short_past

State = dict[str, np.ndarray]
"""All arrays by name that a training needs to go on bit for bit; `epoch` [] is the last epoch they hold."""


@dataclass(frozen=True)
class Epoch:
    """The result of one pass over the training windows, one number a member, [K] each.

    Losses are mean squared errors (halved if the network says so) in the scale that the network sees; `val_loss` is
    None without a validation part. `running` marks the members that are still trained, and `diverged` those of them
    whose loss or weights are no longer finite: their training ends, and their last good weights stay. `state` returns a
    copy of the training's state; call it before the next epoch is asked for.
    """

    number: int
    train_loss: np.ndarray
    val_loss: np.ndarray | None
    running: np.ndarray
    diverged: np.ndarray
    state: Callable[[], State]


class Layout(NamedTuple):
    """What a network has to match besides its spec: the covariates, and the series with networks of their own.

    `n_covariates` is F; the first `n_known` covariates are known ahead. `ids` are the series that each have a network;
    empty if one network serves all series.
    """

    n_covariates: int = 0
    n_known: int = 0
    ids: tuple[str, ...] = ()


PLAIN = Layout()


class Network(Protocol):
    """Maps the past of a panel to its future, in the scale of the panel."""

    def predict(self, panel: Panel, origins: np.ndarray) -> np.ndarray:
        """Return forecasts [M, S] from each origin on, from the values before it alone."""

    def extend(self, panel: Panel, steps: int, origins: np.ndarray | None = None) -> np.ndarray:
        """Return forecasts [M, steps] from each origin on, by default from the ends of the N series.

        Steps beyond S come from its own forecasts.
        """


class TrainedNetwork(Network, Protocol):
    """A network that is trained in epochs and can be saved; `dtype` is the type in which it wants values."""

    dtype: type[np.floating]
    layout: Layout

    def fit(
        self, panel: Panel, train: np.ndarray, validation: np.ndarray | None, resume: State | None = None
    ) -> Iterator[Epoch]:
        """Train on the origins `train` [M]; when the iterator ends or is closed, the best weights are in place.

        With the state of an earlier epoch as `resume`, training goes on bit for bit as it did after that epoch.
        """

    def state(self) -> dict[str, np.ndarray]:
        """Return a copy of the weights by name."""

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Restore weights that `state` returned."""


class WindowedNetwork(ABC):
    """A network that reads a fixed number of past values, T, and forecasts S steps at once."""

    length: int
    horizon: int
    dtype: type[np.floating] = np.float64
    layout = PLAIN

    @abstractmethod
    def predict_windows(self, windows: np.ndarray) -> np.ndarray:
        """Return forecasts [M, S] from windows [M, T]."""

    def predict(self, panel: Panel, origins: np.ndarray) -> np.ndarray:
        """Return forecasts [M, S] from each origin on.

        **Raises:** `InputError` if a series has fewer than T values before an origin.
        """
        refuse_short_past(panel, origins, self.length)
        parts = [self.predict_windows(windows) for windows in contexts(panel.values, origins, self.length)]
        return np.concatenate(parts) if parts else np.empty((0, self.horizon))  # [M, S]

    def extend(self, panel: Panel, steps: int, origins: np.ndarray | None = None) -> np.ndarray:
        """Return forecasts [M, steps] from each origin on, by default from the ends of the N series.

        **Raises:** `InputError` if a series has fewer than T values before an origin.
        """
        origins = panel.ends if origins is None else origins
        refuse_short_past(panel, origins, self.length)
        size = max(1, CHUNK // (self.length + steps))
        parts = [self._extend(panel, steps, origins[i : i + size]) for i in range(0, len(origins), size)]
        return np.concatenate(parts) if parts else np.empty((0, steps))  # [M, steps]

    def _extend(self, panel: Panel, steps: int, origins: np.ndarray) -> np.ndarray:
        windows = np.concatenate(list(contexts(panel.values, origins, self.length)))  # [M, T]
        return forecast_recursively(lambda windows, _: self.predict_windows(windows), windows, steps)

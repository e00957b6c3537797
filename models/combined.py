"""Several networks and the baselines as one: a mean of their forecasts, weighted by how well they did on validation.

A forecast that does less well by itself still takes error away from the mean if its errors are others (Bates and
Granger, "The combination of forecasts", 1969).
"""

from collections.abc import Callable, Iterator, Mapping
from functools import reduce

import numpy as np

from models.baselines import Autoregression, SeasonalNaive
from models.data.panel import Panel
from models.network import Epoch, Network, State, TrainedNetwork
from models.specs import ModelSpec


class Combined:
    """Forecasts the weighted mean of what its parts forecast: `networks` and baselines, all in the networks' scale.

    Beyond S steps each part continues from its own forecasts. `weights` [parts] belong to the networks, and then to the
    last value, the seasonal naive and the linear autoregression; they are equal among the networks until they are set.
    """

    def __init__(self, networks: Mapping[str, TrainedNetwork], spec: ModelSpec):
        self.networks = dict(networks)
        first = next(iter(self.networks.values()))
        self.dtype, self.layout = first.dtype, first.layout
        window = spec.window
        self.linear_ar = Autoregression(window.length, window.horizon)
        self.parts: dict[str, Network] = {
            **self.networks,
            "last_value": SeasonalNaive(1, window.horizon),
            "seasonal_naive": SeasonalNaive(spec.season, window.horizon),
            "linear_ar": self.linear_ar,
        }
        self.weights = np.repeat([1 / len(networks), 0.0], [len(networks), len(self.parts) - len(networks)])

    def predict(self, panel: Panel, origins: np.ndarray) -> np.ndarray:
        """Return forecasts [M, S] from each origin on, from the values before it alone."""
        return self._mean(lambda part: part.predict(panel, origins))

    def extend(self, panel: Panel, steps: int, origins: np.ndarray | None = None) -> np.ndarray:
        """Return forecasts [M, steps] from each origin on, by default from the ends of the N series."""
        return self._mean(lambda part: part.extend(panel, steps, origins))

    def _mean(self, forecast: Callable[[Network], np.ndarray]) -> np.ndarray:
        weighted = zip(self.weights, self.parts.values(), strict=True)
        # One part at a time, as all forecasts of a long test part together are large.
        return reduce(np.add, (weight * forecast(part) for weight, part in weighted if weight))  # [M, S]

    def fit(
        self, panel: Panel, train: np.ndarray, validation: np.ndarray | None, resume: State | None = None
    ) -> Iterator[Epoch]:
        """Train one network after the other, and then the linear autoregression; the weights stay."""
        if resume:
            raise NotImplementedError("the training of several networks is not resumed")
        for network in self.networks.values():
            yield from network.fit(panel, train, validation)
        self.linear_ar.fit(panel, train)

    def state(self) -> dict[str, np.ndarray]:
        """Return a copy of all weights, by part and name as in "gru/head"."""
        states = {model: network.state() for model, network in self.networks.items()}
        states |= {"linear_ar": {"weights": self.linear_ar.weights}, "combined": {"weights": self.weights}}
        return {f"{part}/{name}": np.array(array) for part, state in states.items() for name, array in state.items()}

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Restore weights that `state` returned."""
        for model, network in self.networks.items():
            begin = f"{model}/"
            network.load({name.removeprefix(begin): array for name, array in state.items() if name.startswith(begin)})
        self.linear_ar.weights, self.weights = state["linear_ar/weights"].copy(), state["combined/weights"].copy()


def inverse_error_weights(errors: Mapping[str, float]) -> np.ndarray:
    """Return weights [parts] that are inverse to mean squared errors, and sum to 1.

    A part without a finite error gets no weight; parts without any error share all of it.
    """
    squares = np.array(list(errors.values()), float)
    squares[~np.isfinite(squares)] = np.inf
    if (squares == 0).any():
        return (squares == 0) / (squares == 0).sum()
    inverse = 1 / squares
    total = inverse.sum()
    return inverse / total if total > 0 else np.full(len(squares), 1 / len(squares))


def part_spec(spec: ModelSpec, model: str) -> ModelSpec:
    """Return the spec of one network of a combined model."""
    return spec.model_copy(update={"model": model, "parts": ()})

"""Several networks and the baselines as one: a mean of their forecasts, weighted by how well they did on validation.

A forecast that does less well by itself still takes error away from the mean if its errors are others (Bates and
Granger, "The combination of forecasts", 1969).
"""

from collections.abc import Callable, Iterator, Mapping
from functools import reduce

import numpy as np

from models.baselines import Autoregression, SeasonalNaive
from models.data.panel import Panel
from models.holt_winters import HoltWinters
from models.network import Epoch, Network, State, TrainedNetwork
from models.specs import ModelSpec

LINEAR_AR, HOLT_WINTERS, WEIGHTS = "linear_ar/weights", "holt_winters/rates", "combined/weights"
"""The names of what is saved beside the states of the networks."""


class Combined:
    """Forecasts the weighted mean of what its parts forecast: `networks` and baselines, all in the networks' scale.

    Beyond S steps each part continues from its own forecasts. `weights` [parts] belong to the networks and then to the
    baselines, as in `parts`; they are equal among the networks, and 0 for the baselines, until they are set.
    """

    def __init__(self, networks: Mapping[str, TrainedNetwork], spec: ModelSpec):
        self.networks = dict(networks)
        first = next(iter(self.networks.values()))
        self.dtype, self.layout = first.dtype, first.layout
        window = spec.window
        self.linear_ar = Autoregression(window.length, window.horizon)
        self.holt_winters = HoltWinters(spec.season, window.horizon)
        self.parts: dict[str, Network] = {
            **self.networks,
            "last_value": SeasonalNaive(1, window.horizon),
            "seasonal_naive": SeasonalNaive(spec.season, window.horizon),
            "linear_ar": self.linear_ar,
            "holt_winters": self.holt_winters,
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
        """Train one network after the other, and fit the baselines; the weights stay."""
        if resume:
            raise NotImplementedError("the training of several networks is not resumed")
        for network in self.networks.values():
            yield from network.fit(panel, train, validation)
        self.fit_baselines(panel, train)

    def fit_baselines(self, panel: Panel, train: np.ndarray) -> None:
        """Fit the linear autoregression and Holt-Winters' method to the origins `train` [M]."""
        self.linear_ar.fit(panel, train)
        self.holt_winters.fit(panel, train)

    def state(self) -> dict[str, np.ndarray]:
        """Return a copy of all weights, by part and name as in "gru/head"."""
        states = {model: network.state() for model, network in self.networks.items()}
        arrays = {f"{model}/{name}": array for model, state in states.items() for name, array in state.items()}
        arrays |= {LINEAR_AR: self.linear_ar.weights, HOLT_WINTERS: self.holt_winters.rates, WEIGHTS: self.weights}
        return {name: np.array(array) for name, array in arrays.items()}

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Restore weights that `state` returned."""
        for model, network in self.networks.items():
            begin = f"{model}/"
            network.load({name.removeprefix(begin): array for name, array in state.items() if name.startswith(begin)})
        copies = [np.array(state[name]) for name in (LINEAR_AR, HOLT_WINTERS, WEIGHTS)]
        self.linear_ar.weights, self.holt_winters.rates, self.weights = copies


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

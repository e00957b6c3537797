"""The median of several networks as one network: where validation cannot tell them apart, nothing has to be told."""

from collections.abc import Iterator, Mapping

import numpy as np

from models.data.panel import Panel
from models.network import Epoch, State, TrainedNetwork
from models.specs import ModelSpec


class Combined:
    """Forecasts the median of the forecasts of its `parts`, networks by model, in the scale in which they see values.

    Beyond S steps each part continues from its own forecasts.
    """

    def __init__(self, parts: Mapping[str, TrainedNetwork]):
        self.parts = dict(parts)
        first = next(iter(self.parts.values()))
        self.dtype, self.layout = first.dtype, first.layout

    def predict(self, panel: Panel, origins: np.ndarray) -> np.ndarray:
        """Return forecasts [M, S] from each origin on, from the values before it alone."""
        forecasts: np.ndarray = np.median([part.predict(panel, origins) for part in self.parts.values()], axis=0)
        return forecasts

    def extend(self, panel: Panel, steps: int, origins: np.ndarray | None = None) -> np.ndarray:
        """Return forecasts [M, steps] from each origin on, by default from the ends of the N series."""
        forecasts: np.ndarray = np.median([part.extend(panel, steps, origins) for part in self.parts.values()], axis=0)
        return forecasts

    def fit(
        self, panel: Panel, train: np.ndarray, validation: np.ndarray | None, resume: State | None = None
    ) -> Iterator[Epoch]:
        """Train one part after the other."""
        if resume:
            raise NotImplementedError("the training of several networks is not resumed")
        for part in self.parts.values():
            yield from part.fit(panel, train, validation)

    def state(self) -> dict[str, np.ndarray]:
        """Return a copy of all weights, by model and name as in "gru/head"."""
        states = {model: part.state() for model, part in self.parts.items()}
        return {f"{model}/{name}": weight for model, state in states.items() for name, weight in state.items()}

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Restore weights that `state` returned."""
        for model, part in self.parts.items():
            begin = f"{model}/"
            part.load({name.removeprefix(begin): weight for name, weight in state.items() if name.startswith(begin)})


def part_spec(spec: ModelSpec, model: str) -> ModelSpec:
    """Return the spec of one part of a combined model."""
    return spec.model_copy(update={"model": model, "parts": ()})

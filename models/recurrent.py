"""The recurrent forecasters rnn, gru and lstm: a population behind the interface that all networks share."""

import math
from collections.abc import Iterator

import numpy as np
import torch

from models.arithmetic import check_precision, on_gpu, small_products
from models.fitting import fit
from models.network import Epoch, WindowedNetwork
from models.panel import Panel
from models.population import Population
from models.specs import ModelSpec
from models.windows import CHUNK, contexts

MOST_ANSWERS = 1 << 22
"""Most answers that are held at once, over all members."""


class Recurrent(WindowedNetwork):
    """K networks that read the last T values and answer the next S; the forecast is the median of the K answers."""

    dtype: type[np.floating] = np.float32

    def __init__(self, spec: ModelSpec, device: str = "cpu"):
        check_precision(spec.fit.precision, device)
        self.spec = spec
        self.length, self.horizon = spec.window.length, spec.window.horizon
        self.seeds = [spec.seed + member for member in range(spec.fit.members)]
        self.population = Population(spec.model, spec.recurrent, self.horizon, self.seeds, device=device)

    def fit(self, panel: Panel, train: np.ndarray, validation: np.ndarray | None) -> Iterator[Epoch]:
        """Train all members on the same origins `train` [M]; each is left with its best weights."""
        self.population.unit = usual_change(panel.values, train)
        self.population.spread = usual_spread(panel.values, train, self.length)
        values = torch.from_numpy(panel.values).to(self.population.flat)  # [P]
        held_out = None if validation is None else [validation]
        with small_products(), on_gpu(self.spec.fit):
            yield from fit(self.population, values, self.length, [train], held_out, self.spec.fit, self.seeds)

    def predict(self, panel: Panel, origins: np.ndarray) -> np.ndarray:
        """Forecasts [M, S] of the S values from each origin on."""
        return self._answers(panel.values, origins)

    def predict_windows(self, windows: np.ndarray) -> np.ndarray:
        """Forecasts [M, S] from windows [M, T]."""
        return self._answers(windows.reshape(-1), self.length * np.arange(1, len(windows) + 1))

    def _answers(self, values: np.ndarray, origins: np.ndarray) -> np.ndarray:
        answers = np.empty((len(origins), self.horizon))  # [M, S]
        flat = self.population.flat
        series = torch.from_numpy(values).to(flat)  # [P]
        step = max(1, MOST_ANSWERS // (self.population.members * self.horizon))
        with small_products(), on_gpu(self.spec.fit):
            for begin in range(0, len(origins), step):
                part = torch.from_numpy(origins[begin : begin + step]).to(flat.device)
                members = self.population.predict(series, part, self.length)  # [K, m, S]
                answers[begin : begin + step] = np.median(members.cpu().numpy().astype(np.float64), axis=0)  # [m, S]
        return answers

    def state(self) -> dict[str, np.ndarray]:
        """Every member's weights by name, [K, ...] each, and the two sizes that they count in."""
        weights = {name: weight.cpu().numpy() for name, weight in self.population.named(self.population.flat).items()}
        return {**weights, "unit": np.array(self.population.unit), "spread": np.array(self.population.spread)}

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Put the weights in place that `state` gave."""
        for name, weight in self.population.named(self.population.flat).items():
            weight.copy_(torch.from_numpy(state[name]))
        self.population.unit, self.population.spread = float(state["unit"]), float(state["spread"])


def usual_change(values: np.ndarray, origins: np.ndarray) -> float:
    """Root mean square of the change from the value before each origin to the value at it; 1 if nothing changes."""
    parts = (origins[begin : begin + CHUNK] for begin in range(0, len(origins), CHUNK))
    squares = sum(float(np.square(values[part] - values[part - 1], dtype=np.float64).sum()) for part in parts)
    change = math.sqrt(squares / len(origins))
    return change if change > 0 else 1.0


def usual_spread(values: np.ndarray, origins: np.ndarray, length: int, sample: int = 10_000) -> float:
    """Root mean square distance of a window's values from its last, over evenly drawn windows; 1 if there is none."""
    drawn = origins[:: -(-len(origins) // sample)]
    squares = [((windows - windows[:, -1:]) ** 2).mean(axis=1) for windows in contexts(values, drawn, length)]
    spread = float(np.sqrt(np.mean(np.concatenate(squares))))
    return spread if spread > 0 else 1.0

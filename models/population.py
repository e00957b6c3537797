"""A population: K recurrent networks of one shape, stacked cells and a linear head, in lockstep."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from models.cells import CELLS, Layer
from models.specs import RecurrentSpec

MOST_GATES = 1 << 24
"""Most gate values, 64 MiB of them, that a pass without gradients holds."""


class Place(NamedTuple):
    """Where one weight lies in a member's row of parameters."""

    begin: int
    end: int
    shape: tuple[int, ...]


class Population:
    """K networks of one shape: T values of F features in, the next S values out.

    All weights are one tensor `flat` [K, P], a row a member, so that the optimiser, the clipping and the choice of
    the best epoch are each one operation for the whole population. `weights` gives them their names and shapes.

    **Arguments:** `cell`, one of "rnn", "gru", "lstm"; `horizon`, S; `seeds`, one a member: a member's first weights
    depend on its own seed alone, and are uniform within 1 / sqrt(H), as `torch.nn` draws them; `unit`, the usual change
    from one value to the next, in which a network that answers changes counts; `spread`, the usual distance of a
    window's values from its last one, in which a network that reads relative values counts.
    """

    def __init__(
        self,
        cell: str,
        spec: RecurrentSpec,
        horizon: int,
        seeds: Sequence[int],
        unit: float = 1.0,
        spread: float = 1.0,
        device: str = "cpu",
    ):
        form = "gru_chung2014" if cell == "gru" and spec.gru_form == "chung2014" else cell
        self.cell = CELLS[form]
        self.spec = spec
        self.horizon = horizon
        self.unit = unit
        self.spread = spread
        self.places = _places(self.cell.gates, spec, horizon)
        size = max(place.end for place in self.places.values())
        bound = spec.hidden**-0.5
        draws = [torch.rand(size, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        self.flat = ((2 * torch.stack(draws) - 1) * bound).to(device)  # [K, P]

    @property
    def members(self) -> int:
        """K."""
        return self.flat.shape[0]

    def weights(self) -> dict[str, Tensor]:
        """Views of `flat`, [K, ...] each, by name."""
        return {name: self.flat[:, p.begin : p.end].unflatten(1, p.shape) for name, p in self.places.items()}

    def forward(self, weights: dict[str, Tensor], windows: Tensor) -> Tensor:
        """Forecasts [K, B, S] from windows [T, K, B]."""
        last = windows[-1]  # [K, B]
        x = (windows - last) / self.spread if self.spec.reads == "relative" else windows  # [T, K, B]
        x = x.unsqueeze(-1)  # [T, K, B, 1]
        for number in range(self.spec.layers):
            x = self.cell.run(x, Layer(*(weights[f"layer{number}.{field}"] for field in Layer._fields)))  # [T, K, B, H]
        # A column of zeros keeps this a product of matrices: with vectors, a member alone rounds otherwise (cells.py).
        head = torch.nn.functional.pad(weights["head.weight"], (0, 1))  # [K, H, S + 1]
        answer = torch.bmm(x[-1], head)[..., : self.horizon] + weights["head.bias"].unsqueeze(1)  # [K, B, S]
        if self.spec.answers == "value":
            return answer
        return last.unsqueeze(-1) + self.unit * answer  # [K, B, S]

    @torch.inference_mode()
    def predict(self, windows: Tensor) -> Tensor:
        """Forecasts [K, M, S] of every member from the same windows [M, T]."""
        weights, parts = self.weights(), []
        for part in windows.split(self.windows_at_once(windows.shape[1])):
            same = part.to(self.flat).t().unsqueeze(1).expand(-1, self.members, -1)  # [T, K, m]
            parts.append(self.forward(weights, same))
        return torch.cat(parts, dim=1)  # [K, M, S]

    def windows_at_once(self, length: int) -> int:
        """How many windows of T values each member may pass at once in bounded memory."""
        return max(1, MOST_GATES // (self.members * length * self.cell.gates * self.spec.hidden))


def _places(gates: int, spec: RecurrentSpec, horizon: int) -> dict[str, Place]:
    units = spec.hidden
    shapes: dict[str, tuple[int, ...]] = {}
    for number in range(spec.layers):
        features = 1 if number == 0 else units
        shapes[f"layer{number}.input"] = (features, gates * units)
        shapes[f"layer{number}.hidden"] = (units, gates * units)
        shapes[f"layer{number}.input_bias"] = (gates * units,)
        shapes[f"layer{number}.hidden_bias"] = (gates * units,)
    shapes["head.weight"] = (units, horizon)
    shapes["head.bias"] = (horizon,)
    places, begin = {}, 0
    for name, shape in shapes.items():
        end = begin + torch.Size(shape).numel()
        places[name] = Place(begin, end, shape)
        begin = end
    return places

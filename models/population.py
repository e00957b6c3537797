"""A population: K recurrent networks of one shape, stacked cells and a linear head, in lockstep."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from models import cudnn
from models.cells import CELLS
from models.kernels import load_kernels
from models.specs import RecurrentSpec

MOST_GATES = 1 << 24
"""Most gate values, 64 MiB of them, that a pass without gradients holds."""


class Place(NamedTuple):
    """Where one weight lies in a member's row of parameters."""

    begin: int
    end: int
    shape: tuple[int, int]


class Population:
    """K networks of one shape: T values of F features in, the next S values out.

    All weights are one tensor `flat` [K, P], a row a member, so that the optimiser, the clipping and the choice of
    the best epoch are each one operation for the whole population. `weights` gives them their names and shapes.

    **Arguments:** `cell`, one of "rnn", "gru", "lstm"; `horizon`, S; `seeds`, one a member: a member's first weights
    depend on its own seed alone, and are uniform within 1 / sqrt(H), as `torch.nn` draws them; `unit`, the usual change
    from one value to the next, in which a network that answers changes counts; `spread`, the usual distance of a
    window's values from its last one, in which a network that reads relative values counts; `compiled`, whether the
    kernels may be used where they can.
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
        compiled: bool = True,
    ):
        self.form = "gru_chung2014" if cell == "gru" and spec.gru_form == "chung2014" else cell
        self.cell = CELLS[self.form]
        self.kernels = load_kernels() if compiled and device == "cpu" and self.form in ("rnn", "gru", "lstm") else None
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

    def run(self, x: Tensor, weight: Tensor) -> Tensor:
        """One layer: outputs [T, K, B, H] from inputs [T, K, B, F]."""
        if self.kernels is not None:
            return self.kernels.recurrence(self.form, x, weight)
        if x.is_cuda and self.members == 1 and self.form in cudnn.FUNCTIONS:
            return cudnn.run(self.form, x, weight)
        return self.cell.run(x, weight)

    def named(self, flat: Tensor) -> dict[str, Tensor]:
        """Views of weights [K, P], matrices by name: "layer0", "layer1" ... (cells.py) and "head" [K, 1 + H, S]."""
        return {name: flat[:, p.begin : p.end].unflatten(1, p.shape) for name, p in self.places.items()}

    def forward(self, flat: Tensor, windows: Tensor) -> Tensor:
        """Forecasts [K, B, S] of the weights `flat` [K, P] from windows [T, K, B], for autograd."""
        weights = self.named(flat)
        last = windows[-1]  # [K, B]
        x = (windows - last) / self.spread if self.spec.reads == "relative" else windows  # [T, K, B]
        x = x.unsqueeze(-1)  # [T, K, B, 1]
        for number in range(self.spec.layers):
            x = self.run(x, weights[f"layer{number}"])  # [T, K, B, H]
        # A one for the bias, and a column of zeros to keep this a product of matrices: with vectors, a member alone
        # rounds otherwise than among others (cells.py).
        hidden = torch.nn.functional.pad(x[-1], (1, 0), value=1.0)  # [K, B, 1 + H]
        head = torch.nn.functional.pad(weights["head"], (0, 1))  # [K, 1 + H, S + 1]
        answer = torch.bmm(hidden, head)[..., : self.horizon]  # [K, B, S]
        if self.spec.answers == "value":
            return answer
        return last.unsqueeze(-1) + self.unit * answer  # [K, B, S]

    def predict(self, values: Tensor, origins: Tensor, length: int) -> Tensor:
        """Forecasts [K, M, S] of every member from the `length` values [P] before each of the origins [M]."""
        if self.kernels is not None:
            return self.kernels.predict(self, values, origins, length)
        before = torch.arange(-length, 0, device=values.device).unsqueeze(1)  # [T, 1]
        parts = []
        with torch.inference_mode():
            for part in origins.split(self.windows_at_once(length)):
                windows = values[part + before]  # [T, m]
                parts.append(self.forward(self.flat, windows.unsqueeze(1).expand(-1, self.members, -1)))
        return torch.cat(parts, dim=1)  # [K, M, S]

    def windows_at_once(self, length: int) -> int:
        """How many windows of T values each member may pass at once in bounded memory."""
        return max(1, MOST_GATES // (self.members * length * self.cell.gates * self.spec.hidden))


def _places(gates: int, spec: RecurrentSpec, horizon: int) -> dict[str, Place]:
    units = spec.hidden
    shapes: dict[str, tuple[int, int]] = {}
    for number in range(spec.layers):
        features = 1 if number == 0 else units
        shapes[f"layer{number}"] = (features + 2 + units, gates * units)
    shapes["head"] = (1 + units, horizon)
    places, begin = {}, 0
    for name, shape in shapes.items():
        end = begin + torch.Size(shape).numel()
        places[name] = Place(begin, end, shape)
        begin = end
    return places

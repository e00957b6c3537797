"""A population: K recurrent networks of one shape, stacked cells and a linear head, in lockstep."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from models.population import cudnn
from models.population.cells import CELLS
from models.population.tensors import PanelTensors
from models.population.window_scaling import TrainingScales, WindowScaling, scale_windows
from models.specs import RecurrentSpec

MOST_GATES = 1 << 24
"""Most gate values, 64 MiB of them, that a pass without gradients holds."""


class ParameterSlice(NamedTuple):
    """Where one weight matrix lies in a member's row of parameters, and its shape."""

    begin: int
    end: int
    shape: tuple[int, int]


class Sizes(NamedTuple):
    """T, S and the season in points; F covariates beside each value, of which the first `n_known` are known ahead."""

    length: int
    horizon: int = 1
    season: int = 1
    n_covariates: int = 0
    n_known: int = 0


class Population:
    """K networks of one shape: they read T values with F covariates each, and forecast the next S values.

    A step of the recurrence reads a segment of values side by side, with the covariates of the last of them (Lin et
    al., "SegRNN: segment recurrent neural network for long-term time series forecasting", 2023). There are
    T' = T // segment steps; the earliest values that fill no segment are not read. The head is linear in the last
    layer's units, in the window's last L values (the highway of Lai et al., "Modeling long- and short-term temporal
    patterns with deep neural networks", 2018), and, for each step ahead, in that step's covariates where they are known
    ahead.

    All weights are one tensor `flat` [K, W], a row a member, so that the optimiser, clipping and the choice of the best
    epoch are each one operation for the whole population. `unflatten` gives the weights their names and shapes.

    **Arguments:** `cell`, one of "rnn", "gru", "lstm"; `seeds`, one a member. A member's initial weights depend on its
    own seed alone; they are uniform within 1 / sqrt(H), as in `torch.nn`, except for those of the highway and the known
    covariates, which are zero. `training_scales` has to be set before the population is used (window_scaling.py).
    """

    def __init__(
        self, cell: str, spec: RecurrentSpec, sizes: Sizes, seeds: Sequence[int], device: str | torch.device = "cpu"
    ):
        self.cell_name = "gru_chung2014" if cell == "gru" and spec.gru_form == "chung2014" else cell
        self.cell = CELLS[self.cell_name]
        self.spec, self.sizes = spec, sizes
        self.highway = min(spec.highway, sizes.length)
        self.segment = min(spec.segment, sizes.length)
        self.steps = sizes.length // self.segment
        self.slices = self._parameter_slices()
        n_drawn = self.slices["head"].begin + (1 + spec.hidden) * sizes.horizon
        size, bound = self.slices["head"].end, spec.hidden**-0.5
        draws = [torch.rand(n_drawn, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        initial = (2 * torch.stack(draws) - 1) * bound  # [K, drawn weights]
        self.flat = torch.nn.functional.pad(initial, (0, size - n_drawn)).to(device)  # [K, W]
        self.training_scales = TrainingScales(*torch.ones(3, len(seeds), 1, device=device))  # [K, 1] each

    @property
    def members(self) -> int:
        """The number of networks, K."""
        return self.flat.shape[0]

    def unflatten(self, flat: Tensor) -> dict[str, Tensor]:
        """Return weights [K, W] as views by name: "layer0", "layer1", ... (cells.py), and "head" [K, rows, S].

        The head's rows are the bias, H units, the highway's L values from the earliest on, and the known covariates.
        """
        return {name: flat[:, part.begin : part.end].unflatten(1, part.shape) for name, part in self.slices.items()}

    def scaled_windows(self, tensors: PanelTensors, origins: Tensor) -> tuple[Tensor, WindowScaling]:
        """Return the windows [T, K, B] before origins [K, B], unscaled, and their scaling."""
        offsets = torch.arange(-self.sizes.length, 0, device=origins.device).view(-1, 1, 1)  # [T, 1, 1]
        windows = tensors.values[origins + offsets]  # [T, K, B]
        return windows, scale_windows(windows, self.spec, self.sizes.season, self.sizes.horizon, self.training_scales)

    def forward(
        self, flat: Tensor, tensors: PanelTensors, origins: Tensor, windows: Tensor, scaling: WindowScaling
    ) -> Tensor:
        """Return forecasts [K, B, S] of the weights `flat` [K, W] from origins [K, B], differentiable in `flat`.

        `windows` and `scaling` are those that `scaled_windows` returns for the origins.
        """
        weights, sizes = self.unflatten(flat), self.sizes
        inputs = (windows - scaling.input_offset) / scaling.input_scale  # [T, K, B]
        x = inputs[sizes.length - self.steps * self.segment :]  # [T' * segment, K, B]
        x = x.unflatten(0, (self.steps, self.segment))  # [T', segment, K, B]
        x = x.permute(0, 2, 3, 1)  # [T', K, B, segment]
        if sizes.n_covariates:
            ends = torch.arange(-self.steps, 0, device=origins.device).view(-1, 1, 1) * self.segment + self.segment - 1
            x = torch.cat([x, tensors.covariates[origins + ends]], dim=-1)  # [T', K, B, segment + F]
        for number in range(self.spec.layers):
            x = self._run_layer(x, weights[f"layer{number}"])  # [T', K, B, H]
        # A one is added for the bias, and a column of zeros so that this stays a product of matrices: a product with a
        # vector would round differently for a member alone than among others (cells.py).
        highway = inputs[sizes.length - self.highway :].permute(1, 2, 0)  # [K, B, L]
        features = torch.cat([torch.nn.functional.pad(x[-1], (1, 0), value=1.0), highway], dim=-1)  # [K, B, 1 + H + L]
        shared, by_step = weights["head"].tensor_split([features.shape[-1]], dim=1)  # [K, 1 + H + L, S], [K, known, S]
        output = torch.bmm(features, torch.nn.functional.pad(shared, (0, 1)))[..., : sizes.horizon]  # [K, B, S]
        if sizes.n_known:
            ahead = torch.arange(sizes.horizon, device=origins.device)  # [S]
            known_ahead = tensors.covariates[origins.unsqueeze(-1) + ahead, : sizes.n_known]  # [K, B, S, known]
            output = output + (known_ahead * by_step.transpose(1, 2).unsqueeze(1)).sum(dim=-1)  # [K, B, S]
        return scaling.target_offset + scaling.target_scale.unsqueeze(-1) * output  # [K, B, S]

    def predict(self, tensors: PanelTensors, origins: Tensor) -> Tensor:
        """Return forecasts [K, M, S] of every member from its origins [K, M], or from [1, M] that all share.

        Each reads the T points before an origin, and of covariates known ahead the S points from it on.
        """
        with torch.inference_mode():
            parts = []
            for part in origins.split(self.windows_per_pass(), dim=1):
                expanded = part.expand(self.members, -1)  # [K, m], m windows of one pass
                parts.append(self.forward(self.flat, tensors, expanded, *self.scaled_windows(tensors, expanded)))
        return torch.cat(parts, dim=1)  # [K, M, S]

    def windows_per_pass(self) -> int:
        """Return how many windows of each member fit into one pass of bounded memory."""
        return max(1, MOST_GATES // (self.members * self.steps * self.cell.gates * self.spec.hidden))

    def _run_layer(self, x: Tensor, weight: Tensor) -> Tensor:
        """Return the outputs [T', K, B, H] of one layer for inputs [T', K, B, F]."""
        if x.is_cuda and self.members == 1 and self.cell_name in cudnn.FUNCTIONS:
            return cudnn.run_layer(self.cell_name, x, weight)
        return self.cell.run(x, weight)

    def _parameter_slices(self) -> dict[str, ParameterSlice]:
        units = self.spec.hidden
        shapes: dict[str, tuple[int, int]] = {}
        for number in range(self.spec.layers):
            features = units if number else self.segment + self.sizes.n_covariates
            shapes[f"layer{number}"] = (features + 2 + units, self.cell.gates * units)
        shapes["head"] = (1 + units + self.highway + self.sizes.n_known, self.sizes.horizon)
        slices, begin = {}, 0
        for name, shape in shapes.items():
            end = begin + torch.Size(shape).numel()
            slices[name] = ParameterSlice(begin, end, shape)
            begin = end
        return slices

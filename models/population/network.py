"""A population: K recurrent networks of one shape, stacked cells and a linear head, in lockstep."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from models.kernels import load_kernels
from models.population import cudnn
from models.population.cells import CELLS
from models.population.tensors import PanelTensors
from models.population.window_scaling import TrainingScales, WindowScaling, scale_windows
from models.specs import RecurrentSpec

MOST_GATES = 1 << 24
"""Most gate values, 64 MiB of them, that a pass without gradients holds."""


class ParameterSlice(NamedTuple):
    """Where one weight lies in a member's row of parameters."""

    begin: int
    end: int
    shape: tuple[int, int]


class Sizes(NamedTuple):
    """T, S and the season in points; F covariates that are read with each value, the first `known` of them ahead."""

    length: int
    horizon: int = 1
    season: int = 1
    n_covariates: int = 0
    n_known: int = 0


class Population:
    """K networks of one shape: T values in, with F covariates each, and the next S values out.

    A step of the recurrence reads a segment of values side by side, and the covariates of its last one (Lin et al.,
    "SegRNN: segment recurrent neural network for long-term time series forecasting", 2023); what is left over of T at
    its far end is not read. The head answers from the last layer's units, from the window's last values (the highway
    of Lai et al., "Modeling long- and short-term temporal patterns with deep neural networks", 2018), and, for each
    step, from that step's covariates where they are known ahead; all of it linearly.

    All weights are one tensor `flat` [K, P], a row a member, so that the optimiser, the clipping and the choice of
    the best epoch are each one operation for the whole population. `weights` gives them their names and shapes.

    **Arguments:** `cell`, one of "rnn", "gru", "lstm"; `seeds`, one a member: a member's first weights depend on its
    own seed alone, and are uniform within 1 / sqrt(H), as `torch.nn` draws them, but for those of highway and known
    covariates, which begin at zero; `compiled`, whether the kernels may be used where they can. `training_scales` is to be set
    before it is used (models/population/window_scaling.py).
    """

    def __init__(
        self,
        cell: str,
        spec: RecurrentSpec,
        sizes: Sizes,
        seeds: Sequence[int],
        device: str = "cpu",
        compiled: bool = True,
    ):
        self.cell_name = "gru_chung2014" if cell == "gru" and spec.gru_form == "chung2014" else cell
        self.cell = CELLS[self.cell_name]
        self.kernels = (
            load_kernels() if compiled and device == "cpu" and self.cell_name in ("rnn", "gru", "lstm") else None
        )
        self.spec = spec
        self.sizes = sizes
        self.highway = min(spec.highway, sizes.length)
        self.segment = min(spec.segment, sizes.length)
        self.steps = sizes.length // self.segment
        self.slices = self._slices()
        drawn = self.slices["head"].begin + (1 + spec.hidden) * sizes.horizon
        size, bound = self.slices["head"].end, spec.hidden**-0.5
        draws = [torch.rand(drawn, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        first = (2 * torch.stack(draws) - 1) * bound
        self.flat = torch.nn.functional.pad(first, (0, size - drawn)).to(device)  # [K, P]
        self.training_scales = TrainingScales(*torch.ones(3, len(seeds), 1, device=device))  # [K, 1] each

    @property
    def members(self) -> int:
        """K."""
        return self.flat.shape[0]

    def run(self, x: Tensor, weight: Tensor) -> Tensor:
        """One layer: outputs [T, K, B, H] from inputs [T, K, B, F]."""
        if self.kernels is not None:
            return self.kernels.recurrence(self.cell_name, x, weight)
        if x.is_cuda and self.members == 1 and self.cell_name in cudnn.FUNCTIONS:
            return cudnn.run(self.cell_name, x, weight)
        return self.cell.run(x, weight)

    def unflatten(self, flat: Tensor) -> dict[str, Tensor]:
        """Views of weights [K, P], matrices by name: "layer0", "layer1" ... (cells.py) and "head" [K, rows, S].

        The head's rows are the bias, H units, the highway's values from the earliest on, and the known covariates.
        """
        return {name: flat[:, p.begin : p.end].unflatten(1, p.shape) for name, p in self.slices.items()}

    def frame(self, tensors: PanelTensors, origins: Tensor) -> tuple[Tensor, WindowScaling]:
        """The windows [T, K, B] before origins [K, B], and the frame in which they are seen."""
        before = torch.arange(-self.sizes.length, 0, device=origins.device).view(-1, 1, 1)  # [T, 1, 1]
        windows = tensors.values[origins + before]  # [T, K, B]
        return windows, scale_windows(windows, self.spec, self.sizes.season, self.sizes.horizon, self.training_scales)

    def forward(
        self, flat: Tensor, tensors: PanelTensors, origins: Tensor, windows: Tensor, frame: WindowScaling
    ) -> Tensor:
        """Forecasts [K, B, S] of the weights `flat` [K, P] from origins [K, B] with their `frame`, for autograd."""
        weights, sizes = self.unflatten(flat), self.sizes
        read = (windows - frame.centre) / frame.size  # [T, K, B]
        x = read[sizes.length - self.steps * self.segment :].unflatten(0, (self.steps, self.segment))
        x = x.permute(0, 2, 3, 1)  # [N, K, B, segment], N steps
        if sizes.n_covariates:
            ends = torch.arange(-self.steps, 0, device=origins.device).view(-1, 1, 1) * self.segment + self.segment - 1
            x = torch.cat([x, tensors.covariates[origins + ends]], dim=-1)  # [N, K, B, segment + F]
        for number in range(self.spec.layers):
            x = self.run(x, weights[f"layer{number}"])  # [N, K, B, H]
        # A one for the bias, and a column of zeros to keep this a product of matrices: with vectors, a member alone
        # rounds otherwise than among others (cells.py).
        straight = read[sizes.length - self.highway :].permute(1, 2, 0)  # [K, B, L]
        told = torch.cat([torch.nn.functional.pad(x[-1], (1, 0), value=1.0), straight], dim=-1)  # [K, B, 1 + H + L]
        shared, own = weights["head"].tensor_split([told.shape[-1]], dim=1)  # [K, 1 + H + L, S], [K, known, S]
        answer = torch.bmm(told, torch.nn.functional.pad(shared, (0, 1)))[..., : sizes.horizon]  # [K, B, S]
        if sizes.n_known:
            after = torch.arange(sizes.horizon, device=origins.device)  # [S]
            ahead = tensors.covariates[origins.unsqueeze(-1) + after, : sizes.n_known]  # [K, B, S, known]
            answer = answer + (ahead * own.transpose(1, 2).unsqueeze(1)).sum(dim=-1)  # [K, B, S]
        return frame.base + frame.factor.unsqueeze(-1) * answer  # [K, B, S]

    def predict(self, tensors: PanelTensors, origins: Tensor) -> Tensor:
        """Forecasts [K, M, S] of every member from the T points before each of its origins [K, M], or [1, M] for all.

        Of covariates that are known ahead it sees the S points behind an origin too.
        """
        if self.kernels is not None:
            return self.kernels.predict(self, tensors, origins)
        with torch.inference_mode():
            parts = []
            for part in origins.split(self.windows_per_pass(), dim=1):
                every = part.expand(self.members, -1)  # [K, m]
                parts.append(self.forward(self.flat, tensors, every, *self.frame(tensors, every)))
        return torch.cat(parts, dim=1)  # [K, M, S]

    def windows_per_pass(self) -> int:
        """How many windows each member may pass at once in bounded memory."""
        return max(1, MOST_GATES // (self.members * self.steps * self.cell.gates * self.spec.hidden))

    def _slices(self) -> dict[str, ParameterSlice]:
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

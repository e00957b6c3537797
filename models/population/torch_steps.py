"""One training step of a population, in three ways with one meaning: this one, compiled, and captured for CUDA."""

from typing import Protocol

import torch
from torch import Tensor

from models.population.adam import Adam, Moments
from models.population.batches import Origins
from models.population.network import Population
from models.population.tensors import PanelTensors
from models.specs import FitSpec


class Steps(Protocol):
    """Moves a population's weights along the slope of its loss: the mean squared or absolute error.

    The mean is over windows and steps ahead; a step whose outcome was not observed counts as met.
    """

    moments: Moments

    def step(self, origins: Tensor, counts: Tensor, rate: Tensor) -> Tensor:
        """Learn from origins [K, B] at each member's rate [K], and give the losses [K] before it moved.

        Each member's first `counts` [K] origins count; where there is none it rests.
        """

    def evaluate(self, held_out: Origins) -> Tensor:
        """The loss [K] over every held-out origin."""


class TorchSteps:
    """The step in plain PyTorch: the reference."""

    def __init__(self, population: Population, tensors: PanelTensors, spec: FitSpec):
        self.population, self.tensors, self.spec = population, tensors, spec
        self.adam = Adam(population.flat, spec)
        self.moments = self.adam.moments

    def step(self, origins: Tensor, counts: Tensor, rate: Tensor) -> Tensor:
        """See `Steps`."""
        loss, gradient = self.gradient(origins, counts)
        self.adam.update(gradient, rate, counts > 0)
        return loss

    def gradient(self, origins: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Losses [K] and gradient [K, P] of one batch, without a step."""
        flat = self.population.flat.detach().requires_grad_()
        loss = self.losses(flat, origins, counts)
        (gradient,) = torch.autograd.grad(loss.sum(), flat)  # members share nothing, so the sum parts again
        return loss.detach(), gradient

    @torch.inference_mode()
    def evaluate(self, held_out: Origins) -> Tensor:
        """See `Steps`."""
        total = torch.zeros(self.population.members, device=self.tensors.values.device)  # [K]
        size = self.population.windows_per_pass()
        index = held_out.index.expand(self.population.members, -1)  # [K, M]
        for begin in range(0, index.shape[1], size):
            origins = index[:, begin : begin + size]
            counts = (held_out.sizes - begin).clamp(0, size)  # [K]
            total += self.losses(self.population.flat, origins, counts) * counts
        return total / held_out.sizes

    def losses(self, flat: Tensor, origins: Tensor, counts: Tensor) -> Tensor:
        """The loss [K] of the weights `flat` [K, P] over each member's first `counts` of origins [K, B]."""
        after = torch.arange(self.population.sizes.horizon, device=origins.device)  # [S]
        real = torch.arange(origins.shape[1], device=origins.device) < counts.unsqueeze(1)  # [K, B]
        targets = self.tensors.targets[origins.unsqueeze(-1) + after]  # [K, B, S]
        windows, frame = self.population.frame(self.tensors, origins)
        forecast = self.population.forward(flat, self.tensors, origins, windows, frame)  # [K, B, S]
        errors = (forecast - targets.nan_to_num()) * ~targets.isnan() / frame.unit.unsqueeze(-1)  # [K, B, S]
        errors = (errors.abs() if self.spec.loss == "mae" else errors.square()).mean(dim=-1)  # [K, B]
        total = (errors * real).sum(dim=1, dtype=torch.float64)  # exact enough to round alike, alone and among others
        return (total / counts.clamp(min=1)).to(errors.dtype)

"""The training step in plain PyTorch: the reference for those that are compiled or captured in a CUDA graph."""

import torch
from torch import Tensor

from models.population.adam import Adam
from models.population.batches import PaddedOrigins
from models.population.network import Population
from models.population.tensors import PanelTensors
from models.specs import FitSpec


class TorchSteps:
    """Implements `Steps` by autograd."""

    def __init__(self, population: Population, tensors: PanelTensors, spec: FitSpec):
        self.population, self.tensors, self.spec = population, tensors, spec
        self.adam = Adam(population.flat, spec)
        self.moments = self.adam.moments

    def step(self, origins: Tensor, counts: Tensor, rates: Tensor) -> Tensor:
        """See `Steps`."""
        loss, gradient = self.gradient(origins, counts)
        self.adam.update(gradient, rates, counts > 0)
        return loss

    def gradient(self, origins: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Return losses [K] and gradients [K, W] of one batch, without a step."""
        flat = self.population.flat.detach().requires_grad_()  # [K, W]
        loss = self.losses(flat, origins, counts)  # [K]
        (gradient,) = torch.autograd.grad(loss.sum(), flat)  # [K, W]; the sum mixes nothing: members share no weights
        return loss.detach(), gradient

    @torch.inference_mode()
    def evaluate(self, held_out: PaddedOrigins) -> Tensor:
        """See `Steps`."""
        total = torch.zeros(self.population.members, device=self.tensors.values.device)  # [K]
        size = self.population.windows_per_pass()
        index = held_out.index.expand(self.population.members, -1)  # [K, M]
        for begin in range(0, index.shape[1], size):
            origins = index[:, begin : begin + size]  # [K, m], m windows of one pass
            counts = (held_out.sizes - begin).clamp(0, size)  # [K]
            total += self.losses(self.population.flat, origins, counts) * counts
        return total / held_out.sizes

    def losses(self, flat: Tensor, origins: Tensor, counts: Tensor) -> Tensor:
        """Return the loss [K] of the weights `flat` [K, W] over each member's first `counts` of origins [K, B]."""
        ahead = torch.arange(self.population.sizes.horizon, device=origins.device)  # [S]
        real = torch.arange(origins.shape[1], device=origins.device) < counts.unsqueeze(1)  # [K, B]
        targets = self.tensors.targets[origins.unsqueeze(-1) + ahead]  # [K, B, S]
        windows, scaling = self.population.scaled_windows(self.tensors, origins)
        forecast = self.population.forward(flat, self.tensors, origins, windows, scaling)  # [K, B, S]
        errors = (forecast - targets.nan_to_num()) * ~targets.isnan() / scaling.error_scale.unsqueeze(-1)  # [K, B, S]
        errors = (errors.abs() if self.spec.loss == "mae" else errors.square()).mean(dim=-1)  # [K, B]
        # In float64 the rounding of a member's loss does not depend on the members beside it.
        total = (errors * real).sum(dim=1, dtype=torch.float64)  # [K]
        return (total / counts.clamp(min=1)).to(errors.dtype)

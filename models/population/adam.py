"""Adam for a whole population in one pass, with a rate, a step count and a clipped gradient for each member."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from models.specs import FitSpec

BETAS, EPSILON = (0.9, 0.999), 1e-8
"""How much of the two means a step keeps, and what is added to the root: the values of the paper."""


class Moments(NamedTuple):
    """What the optimiser remembers of a population: its two means of gradients [K, P], and its steps [K]."""

    mean: Tensor
    square: Tensor
    steps: Tensor


def learning_rates(spec: FitSpec, count: Tensor, total: Tensor) -> Tensor:
    """Each member's learning rate [K] for its step number `count` of `total`."""
    warmup = (spec.warmup * total).clamp(min=1)
    rate = spec.learning_rate * ((count + 1) / warmup).clamp(max=1)
    if spec.schedule == "cosine":
        rate = rate * 0.5 * (1 + torch.cos(math.pi * (count / total)))
    return rate


class Adam:
    """Adam with decoupled weight decay and clipping, all members in one pass over flat [K, P].

    Kingma and Ba, "Adam: a method for stochastic optimization" (2015); Loshchilov and Hutter, "Decoupled weight decay
    regularization" (2019). The same update as `torch.optim.AdamW`, with a step count and a rate for each member.
    """

    def __init__(self, flat: Tensor, spec: FitSpec):
        self.flat, self.spec = flat, spec
        self.moments = Moments(
            torch.zeros_like(flat), torch.zeros_like(flat), torch.zeros(flat.shape[0], device=flat.device)
        )

    def update(self, gradient: Tensor, rate: Tensor, moves: Tensor) -> None:
        """Move those members that `moves` [K] names along their gradient [K, P] at their rate [K]."""
        if self.spec.clip is not None:
            norm = gradient.norm(dim=1, keepdim=True)  # [K, 1]
            gradient = gradient * (self.spec.clip / (norm + 1e-6)).clamp(max=1)
        mean, square, steps = self.moments
        steps += moves
        count, rate, on = (
            row.unsqueeze(1) for row in (steps.clamp(min=1), rate * moves, moves.to(gradient.dtype))
        )  # [K, 1]
        first, second = BETAS
        mean.lerp_(gradient, (1 - first) * on)
        square.lerp_(gradient.square(), (1 - second) * on)
        scale = square.sqrt() / (1 - second**count).sqrt() + EPSILON
        self.flat.mul_(1 - rate * self.spec.weight_decay)
        self.flat.sub_(rate / (1 - first**count) * mean / scale)

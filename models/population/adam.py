"""Adam for a whole population in one pass, with a learning rate, step count and clipped gradient for each member."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from models.specs import FitSpec

BETAS, EPSILON = (0.9, 0.999), 1e-8
"""Decay of the two running means, and the term added to the root: the values of the paper."""


class Moments(NamedTuple):
    """State of the optimiser: running means of the gradient and of its square [K, W], and steps taken [K]."""

    mean: Tensor
    square: Tensor
    steps: Tensor


def learning_rates(spec: FitSpec, steps_done: Tensor, total_steps: Tensor) -> Tensor:
    """Return the learning rates [J, K] of steps that follow `steps_done` [J, K] of each member's `total_steps` [K]."""
    warmup = (spec.warmup * total_steps).clamp(min=1)  # [K]
    rates = spec.learning_rate * ((steps_done + 1) / warmup).clamp(max=1)  # [J, K]
    if spec.schedule == "cosine":
        rates = rates * 0.5 * (1 + torch.cos(math.pi * (steps_done / total_steps)))  # [J, K]
    return rates


class Adam:
    """Adam with decoupled weight decay and gradient clipping over the weights `flat` [K, W] of all members.

    Kingma and Ba, "Adam: a method for stochastic optimization" (2015); Loshchilov and Hutter, "Decoupled weight decay
    regularization" (2019). The same update as `torch.optim.AdamW`, but with a step count and a rate for each member.
    """

    def __init__(self, flat: Tensor, spec: FitSpec):
        self.flat, self.spec = flat, spec
        self.moments = Moments(
            torch.zeros_like(flat), torch.zeros_like(flat), torch.zeros(flat.shape[0], device=flat.device)
        )

    def update(self, gradient: Tensor, rates: Tensor, moving: Tensor) -> None:
        """Move the members marked in `moving` (bool [K]) against their gradients [K, W] at their rates [K]."""
        if self.spec.clip is not None:
            norm = gradient.norm(dim=1, keepdim=True)  # [K, 1]
            gradient = gradient * (self.spec.clip / (norm + 1e-6)).clamp(max=1)
        mean, square, steps = self.moments
        steps += moving
        steps_taken, rate, is_moving = (
            row.unsqueeze(1) for row in (steps.clamp(min=1), rates * moving, moving.to(gradient.dtype))
        )  # [K, 1]
        first, second = BETAS
        mean.lerp_(gradient, (1 - first) * is_moving)
        square.lerp_(gradient.square(), (1 - second) * is_moving)
        scale = square.sqrt() / (1 - second**steps_taken).sqrt() + EPSILON
        self.flat.mul_(1 - rate * self.spec.weight_decay)
        self.flat.sub_(rate / (1 - first**steps_taken) * mean / scale)

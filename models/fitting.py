"""The training loop of a population: a generator that yields one result an epoch."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from models.adam import Adam, learning_rates
from models.batches import Batches, Origins
from models.network import Epoch
from models.population import Population
from models.specs import FitSpec


def fit(
    population: Population,
    values: Tensor,
    length: int,
    train: Sequence[np.ndarray],
    validation: Sequence[np.ndarray] | None,
    spec: FitSpec,
    seeds: Sequence[int],
) -> Iterator[Epoch]:
    """Train every member on its own origins, and leave each with its best weights.

    A member's course depends on its own seed, origins and weights alone, not on who trains beside it. The best
    weights are those of the lowest validation loss, or the last ones where there is no validation part. The caller may
    stop at any epoch: the best weights so far are then in place as well.

    **Arguments:** `values`, the scaled points [P] on the network's device; `length`, T; `train` and `validation`, the
    origins of each member, K arrays (or one for all); `seeds`, K, which order the windows.
    """
    batches = Batches(train, population.members, spec.batch, seeds, values.device)
    held_out = None if validation is None else Origins(validation, population.members, values.device)
    adam = Adam(population.flat, spec)
    best = population.flat.clone()  # [K, P]
    best_loss = torch.full((population.members,), math.inf, device=values.device)  # [K]
    waited = torch.zeros(population.members, dtype=torch.int64, device=values.device)  # [K]
    running = torch.ones(population.members, dtype=torch.bool, device=values.device)  # [K]
    total = spec.epochs * batches.steps  # [K]
    try:
        for number in range(1, spec.epochs + 1):
            train_loss = torch.zeros(population.members, device=values.device)  # [K]
            for origins, real in batches.epoch():
                moves = running & real.any(dim=1)  # [K]
                rate = learning_rates(spec, adam.count, total)
                loss, gradient = step(population, values, origins, real, length)
                adam.update(gradient, rate, moves)
                train_loss += loss * real.sum(dim=1) / batches.sizes
            val_loss = None if held_out is None else evaluate(population, values, held_out, length)
            better = running if val_loss is None else running & (val_loss < best_loss)
            best = torch.where(better.unsqueeze(1), population.flat, best)
            if val_loss is not None:
                best_loss = torch.where(better, val_loss, best_loss)
            waited = torch.where(better, 0, waited + 1)
            yield Epoch(
                number,
                train_loss.cpu().numpy(),
                None if val_loss is None else val_loss.cpu().numpy(),
                running.cpu().numpy(),
            )
            if spec.patience is not None:
                running = running & (waited < spec.patience)
            if not running.any():
                break
    finally:
        population.flat.copy_(best)


def step(population: Population, values: Tensor, origins: Tensor, real: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Loss [K] and gradient [K, P] of one batch of origins [K, B], of which only the `real` ones count."""
    weights = {name: weight.detach().requires_grad_() for name, weight in population.weights().items()}
    loss = batch_loss(population, weights, values, origins, real, length)
    gradients = torch.autograd.grad(loss.sum(), list(weights.values()))  # members share nothing, so the sum parts again
    return loss.detach(), torch.cat([gradient.flatten(1) for gradient in gradients], dim=1)  # [K], [K, P]


def batch_loss(
    population: Population, weights: dict[str, Tensor], values: Tensor, origins: Tensor, real: Tensor, length: int
) -> Tensor:
    """Mean squared error of each member, [K], over its real origins among [K, B]."""
    before = torch.arange(-length, 0, device=values.device).view(-1, 1, 1)  # [T, 1, 1]
    after = torch.arange(population.horizon, device=values.device)  # [S]
    forecast = population.forward(weights, values[origins + before])  # [K, B, S]
    errors = (forecast - values[origins.unsqueeze(-1) + after]).square().mean(dim=-1)  # [K, B]
    total = (errors * real).sum(dim=1, dtype=torch.float64)  # exact enough to round alike, alone and among others
    return (total / real.sum(dim=1).clamp(min=1)).to(errors.dtype)


@torch.inference_mode()
def evaluate(population: Population, values: Tensor, held_out: Origins, length: int) -> Tensor:
    """Mean squared error [K] over every held-out origin."""
    weights = population.weights()
    total = torch.zeros(population.members, device=values.device)  # [K]
    size = population.windows_at_once(length)
    for begin in range(0, held_out.index.shape[1], size):
        origins, real = held_out.index[:, begin : begin + size], held_out.real[:, begin : begin + size]
        total += batch_loss(population, weights, values, origins, real, length) * real.sum(dim=1)
    return total / held_out.sizes

"""The training loop of a population: a generator that yields one result an epoch."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from models.adam import learning_rates
from models.batches import Batches, Origins
from models.graphs import GraphedSteps
from models.network import Epoch
from models.points import Points
from models.population import Population
from models.specs import FitSpec
from models.steps import Steps, TorchSteps


def fit(
    population: Population,
    points: Points,
    train: Sequence[np.ndarray],
    validation: Sequence[np.ndarray] | None,
    spec: FitSpec,
    seeds: Sequence[int],
) -> Iterator[Epoch]:
    """Train every member on its own origins, and leave each with its best weights.

    A member's course depends on its own seed, origins and weights alone, not on who trains beside it. The best
    weights are those of the lowest validation loss, or the last ones where there is no validation part. The caller may
    stop at any epoch: the best weights so far are then in place as well.

    **Arguments:** `points`, scaled, on the network's device; `train` and `validation`, the origins of each member, K
    arrays (or one for all); `seeds`, K, which order the windows.
    """
    device = points.values.device
    batches = Batches(train, population.members, spec.batch, spec.windows, seeds, device)
    held_out = None if validation is None else Origins(validation, population.members, device)
    unjudged = torch.zeros(population.members, dtype=torch.bool, device=device)  # [K], without a validation part
    if held_out is not None:
        unjudged = held_out.sizes == 0
    steps = choose_steps(population, points, spec)
    best = population.flat.clone()  # [K, P]
    best_loss = torch.full((population.members,), math.inf, device=device)  # [K]
    waited = torch.zeros(population.members, dtype=torch.int64, device=device)  # [K]
    running = torch.ones(population.members, dtype=torch.bool, device=device)  # [K]
    shares = batches.counts / batches.sizes  # [N, K], of each batch in its member's epoch
    losses = torch.empty_like(shares)  # [N, K]
    numbers = torch.arange(len(shares), device=device).unsqueeze(1)  # [N, 1]
    try:
        for number in range(1, spec.epochs + 1):
            rates = learning_rates(spec, (number - 1) * batches.steps + numbers, spec.epochs * batches.steps)  # [N, K]
            counts = batches.counts * running  # [N, K]
            for i, origins in enumerate(batches.epoch()):
                losses[i] = steps.step(origins, counts[i], rates[i])
            train_loss = (losses * shares).sum(dim=0)  # [K]
            val_loss = None if held_out is None else steps.evaluate(held_out).where(~unjudged, torch.nan)
            better = running if val_loss is None else running & ((val_loss < best_loss) | unjudged)
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


def choose_steps(population: Population, points: Points, spec: FitSpec) -> Steps:
    """The fastest that can be had for this population here: compiled or captured, else plain PyTorch."""
    if points.values.is_cuda:
        return GraphedSteps(population, points, spec)
    kernels = population.kernels
    return (TorchSteps if kernels is None else kernels.CompiledSteps)(population, points, spec)

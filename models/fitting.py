"""The training loop of a population: a generator that yields one result an epoch."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

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
    return (errors * real).sum(dim=1) / real.sum(dim=1).clamp(min=1)


@torch.inference_mode()
def evaluate(population: Population, values: Tensor, held_out: "Origins", length: int) -> Tensor:
    """Mean squared error [K] over every held-out origin."""
    weights = population.weights()
    total = torch.zeros(population.members, device=values.device)  # [K]
    size = max(1, (1 << 22) // (length * population.members))
    for begin in range(0, held_out.index.shape[1], size):
        origins, real = held_out.index[:, begin : begin + size], held_out.real[:, begin : begin + size]
        total += batch_loss(population, weights, values, origins, real, length) * real.sum(dim=1)
    return total / held_out.sizes


class Origins:
    """Each member's origins, [K, M], padded with its first; `real` [K, M] tells which count."""

    def __init__(self, origins: Sequence[np.ndarray], members: int, device: torch.device):
        rows = [torch.from_numpy(row) for row in origins] * (members if len(origins) == 1 else 1)
        longest = max(len(row) for row in rows)
        self.index = torch.stack([torch.cat([row, row[:1].expand(longest - len(row))]) for row in rows]).to(device)
        self.sizes = torch.tensor([len(row) for row in rows], device=device)  # [K]
        self.real = torch.arange(longest, device=device) < self.sizes.unsqueeze(1)  # [K, M]


class Batches:
    """Batches of origins [K, B], in each member's own random order."""

    def __init__(
        self, origins: Sequence[np.ndarray], members: int, batch: int, seeds: Sequence[int], device: torch.device
    ):
        self.origins = Origins(origins, members, torch.device("cpu"))
        self.sizes = self.origins.sizes.to(device)  # [K]
        self.batch = min(batch, int(self.sizes.max()))
        self.steps = -(-self.sizes // self.batch)  # [K], the steps a member takes an epoch
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.device = device

    def epoch(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Origins [K, B] and which of them are real; a member whose origins are used up waits."""
        longest = self.origins.index.shape[1]
        padded = -(-longest // self.batch) * self.batch
        order = torch.zeros(len(self.generators), padded, dtype=torch.int64)  # [K, steps * B]
        for row, size, generator in zip(order, self.origins.sizes.tolist(), self.generators, strict=True):
            row[:size] = torch.randperm(size, generator=generator)
        index = self.origins.index.gather(1, order).to(self.device)
        real = torch.arange(padded, device=self.device) < self.sizes.unsqueeze(1)
        yield from zip(index.split(self.batch, dim=1), real.split(self.batch, dim=1), strict=True)


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

    def __init__(self, flat: Tensor, spec: FitSpec, betas: tuple[float, float] = (0.9, 0.999), epsilon: float = 1e-8):
        self.flat, self.spec, self.betas, self.epsilon = flat, spec, betas, epsilon
        self.mean = torch.zeros_like(flat)  # [K, P]
        self.square = torch.zeros_like(flat)  # [K, P]
        self.count = torch.zeros(flat.shape[0], device=flat.device)  # [K]

    def update(self, gradient: Tensor, rate: Tensor, moves: Tensor) -> None:
        """Move those members that `moves` [K] names along their gradient [K, P] at their rate [K]."""
        if self.spec.clip is not None:
            norm = gradient.norm(dim=1, keepdim=True)  # [K, 1]
            gradient = gradient * (self.spec.clip / (norm + 1e-6)).clamp(max=1)
        self.count += moves
        count, rate, on = (
            row.unsqueeze(1) for row in (self.count.clamp(min=1), rate * moves, moves.to(gradient.dtype))
        )  # [K, 1]
        first, second = self.betas
        self.mean.lerp_(gradient, (1 - first) * on)
        self.square.lerp_(gradient.square(), (1 - second) * on)
        scale = self.square.sqrt() / (1 - second**count).sqrt() + self.epsilon
        self.flat.mul_(1 - rate * self.spec.weight_decay)
        self.flat.sub_(rate / (1 - first**count) * self.mean / scale)

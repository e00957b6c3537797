"""The training loop of a population: a generator that yields one result an epoch."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from models.network import Epoch, State
from models.population.adam import learning_rates
from models.population.batches import Batches, Origins
from models.population.cuda_graphs import GraphedSteps
from models.population.network import Population
from models.population.tensors import PanelTensors
from models.population.torch_steps import Steps, TorchSteps
from models.specs import FitSpec


class FitState(NamedTuple):
    """How far the members have come, a row each: weights [K, P], and of the best of them their loss [K].

    Then the epochs since [K], whether a member still trains [K], and the optimiser's means [K, P] and steps [K].
    """

    weights: Tensor
    best: Tensor
    best_loss: Tensor
    waited: Tensor
    running: Tensor
    mean: Tensor
    square: Tensor
    steps: Tensor

    def state(self, epoch: int, batches: Batches) -> State:
        """A copy of it all, to go on from behind an epoch."""
        parts = self._asdict() | {"orders": batches.orders(), "epoch": torch.tensor(epoch)}
        return {name: part.cpu().numpy().copy() for name, part in parts.items()}

    def resume(self, state: State, batches: Batches) -> int:
        """Put everything as a state has it; the state's epoch."""
        for name, part in self._asdict().items():
            part.copy_(torch.from_numpy(state[name]))
        batches.put(torch.from_numpy(state["orders"]))
        return int(state["epoch"])


def fit(
    population: Population,
    tensors: PanelTensors,
    train: Sequence[np.ndarray],
    validation: Sequence[np.ndarray] | None,
    spec: FitSpec,
    seeds: Sequence[int],
    resume: State | None = None,
) -> Iterator[Epoch]:
    """Train every member on its own origins, and leave each with its best weights.

    A member's course depends on its own seed, origins and weights alone, not on who trains beside it. The best
    weights are those of the lowest validation loss, or the last ones where there is no validation part. A member whose
    loss or weights are no longer finite is done, and keeps the best that it had. The caller may stop at any epoch: the
    best weights so far are then in place as well.

    **Arguments:** `tensors`, scaled, on the network's device; `train` and `validation`, the origins of each member, K
    arrays (or one for all); `seeds`, K, which order the windows; `resume`, the state of an epoch to go on from.
    """
    device, members = tensors.values.device, population.members
    batches = Batches(train, members, spec.batch, spec.windows, seeds, device)
    held_out = None if validation is None else Origins(validation, members, device)
    judged = torch.zeros(members, dtype=torch.bool, device=device)  # [K], those with a validation part
    if held_out is not None:
        judged = held_out.sizes > 0
    steps = choose_steps(population, tensors, spec)
    progress = FitState(
        population.flat,
        population.flat.clone(),
        torch.full((members,), math.inf, device=device),
        torch.zeros(members, dtype=torch.int64, device=device),
        torch.ones(members, dtype=torch.bool, device=device),
        *steps.moments,
    )
    done = progress.resume(resume, batches) if resume else 0
    shares = batches.counts / batches.sizes  # [N, K], of each batch in its member's epoch
    losses = torch.empty_like(shares)  # [N, K]
    numbers = torch.arange(len(shares), device=device).unsqueeze(1)  # [N, 1]
    try:
        for number in range(done + 1, spec.epochs + 1):
            if not progress.running.any():
                break
            rates = learning_rates(spec, (number - 1) * batches.steps + numbers, spec.epochs * batches.steps)  # [N, K]
            counts = batches.counts * progress.running  # [N, K]
            for i, origins in enumerate(batches.epoch()):
                losses[i] = steps.step(origins, counts[i], rates[i])
            train_loss = (losses * shares).sum(dim=0)  # [K]
            val_loss = None if held_out is None else steps.evaluate(held_out).where(judged, torch.nan)  # [K]
            ran = progress.running.clone()  # [K]
            diverged = ran & ~is_finite(progress.weights, train_loss, val_loss, judged)  # [K]
            better = ran & ~diverged
            if val_loss is not None:
                better &= (val_loss < progress.best_loss) | ~judged
                progress.best_loss.copy_(torch.where(better, val_loss, progress.best_loss))
            progress.best.copy_(torch.where(better.unsqueeze(1), progress.weights, progress.best))
            progress.waited.copy_(torch.where(better, 0, progress.waited + 1))
            progress.running.copy_(ran & ~diverged & (progress.waited < (spec.patience or math.inf)))
            yield Epoch(
                number,
                train_loss.cpu().numpy(),
                None if val_loss is None else val_loss.cpu().numpy(),
                ran.cpu().numpy(),
                diverged.cpu().numpy(),
                partial(progress.state, number, batches),
            )
    finally:
        population.flat.copy_(progress.best)


def is_finite(weights: Tensor, train_loss: Tensor, val_loss: Tensor | None, judged: Tensor) -> Tensor:
    """Whether each member's weights [K, P] and its losses [K] are finite numbers; val_loss of those `judged` [K]."""
    finite = weights.isfinite().all(dim=1) & train_loss.isfinite()  # [K]
    return finite if val_loss is None else finite & (val_loss.isfinite() | ~judged)


def choose_steps(population: Population, tensors: PanelTensors, spec: FitSpec) -> Steps:
    """The fastest that can be had for this population here: compiled or captured, else plain PyTorch."""
    if tensors.values.is_cuda:
        return GraphedSteps(population, tensors, spec)
    kernels = population.kernels
    return (TorchSteps if kernels is None else kernels.CompiledSteps)(population, tensors, spec)

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
from models.population.batches import Batches, PaddedOrigins
from models.population.network import Population
from models.population.steps import Steps
from models.specs import FitSpec


class FitState(NamedTuple):
    """The state of a training, member by member.

    The current weights and the best so far [K, W], the validation loss of the best [K], the epochs since the best [K],
    whether the member is still being trained [K], and the moments of the optimiser [K, W], [K, W] and [K].
    """

    weights: Tensor
    best_weights: Tensor
    best_loss: Tensor
    epochs_since_best: Tensor
    running: Tensor
    mean: Tensor
    square: Tensor
    steps: Tensor

    def copy(self, epoch: int, batches: Batches) -> State:
        """Return a copy of the state after an epoch, from which the training can be resumed."""
        parts = self._asdict() | {"generators": batches.generator_states(), "epoch": torch.tensor(epoch)}
        return {name: part.cpu().numpy().copy() for name, part in parts.items()}

    def restore(self, state: State, batches: Batches) -> int:
        """Restore a state that `copy` returned; returns its epoch."""
        for name, part in self._asdict().items():
            part.copy_(torch.from_numpy(state[name]))
        batches.restore_generators(torch.from_numpy(state["generators"]))
        return int(state["epoch"])


def fit(
    population: Population,
    steps: Steps,
    train: Sequence[np.ndarray],
    validation: Sequence[np.ndarray] | None,
    spec: FitSpec,
    seeds: Sequence[int],
    resume: State | None = None,
) -> Iterator[Epoch]:
    """Train every member on its own origins, and leave it with its best weights.

    A member's training depends on its own seed, origins and weights alone, not on who trains beside it. The best
    weights are those of the lowest validation loss, or the last ones if there is no validation part. A member whose
    loss or weights are no longer finite stops, and keeps its best weights so far. The caller may stop at any epoch: the
    best weights so far are then in place as well.

    **Arguments:** `steps`, made for this population by a backend; `train` and `validation`, the origins of each member,
    K arrays (or one for all); `seeds`, K, which shuffle the windows; `resume`, the state of an epoch to go on from.
    """
    device, members = population.flat.device, population.members
    batches = Batches(train, members, spec.batch, spec.windows, seeds, device)
    held_out = None if validation is None else PaddedOrigins(validation, members, device)
    validated = torch.zeros(members, dtype=torch.bool, device=device)  # [K], members with validation origins
    if held_out is not None:
        validated = held_out.sizes > 0
    state = FitState(
        weights=population.flat,
        best_weights=population.flat.clone(),
        best_loss=torch.full((members,), math.inf, device=device),
        epochs_since_best=torch.zeros(members, dtype=torch.int64, device=device),
        running=torch.ones(members, dtype=torch.bool, device=device),
        **steps.moments._asdict(),
    )
    epochs_done = state.restore(resume, batches) if resume else 0
    shares = batches.counts / batches.sizes  # [J, K], share of each batch in its member's epoch
    losses = torch.empty_like(shares)  # [J, K]
    batch_numbers = torch.arange(len(shares), device=device).unsqueeze(1)  # [J, 1]
    try:
        for epoch in range(epochs_done + 1, spec.epochs + 1):
            if not state.running.any():
                break
            steps_done = (epoch - 1) * batches.steps + batch_numbers  # [J, K]
            rates = learning_rates(spec, steps_done, spec.epochs * batches.steps)  # [J, K]
            counts = batches.counts * state.running  # [J, K]
            for j, origins in enumerate(batches.epoch()):
                losses[j] = steps.step(origins, counts[j], rates[j])
            train_loss = (losses * shares).sum(dim=0)  # [K]
            val_loss = None if held_out is None else steps.evaluate(held_out).where(validated, torch.nan)  # [K]
            was_running = state.running.clone()  # [K]
            diverged = was_running & ~is_finite(state.weights, train_loss, val_loss, validated)  # [K]
            improved = was_running & ~diverged
            if val_loss is not None:
                improved &= (val_loss < state.best_loss) | ~validated
                state.best_loss.copy_(torch.where(improved, val_loss, state.best_loss))
            state.best_weights.copy_(torch.where(improved.unsqueeze(1), state.weights, state.best_weights))
            state.epochs_since_best.copy_(torch.where(improved, 0, state.epochs_since_best + 1))
            state.running.copy_(was_running & ~diverged & (state.epochs_since_best < (spec.patience or math.inf)))
            yield Epoch(
                epoch,
                train_loss.cpu().numpy(),
                None if val_loss is None else val_loss.cpu().numpy(),
                was_running.cpu().numpy(),
                diverged.cpu().numpy(),
                partial(state.copy, epoch, batches),
            )
    finally:
        population.flat.copy_(state.best_weights)


def is_finite(weights: Tensor, train_loss: Tensor, val_loss: Tensor | None, validated: Tensor) -> Tensor:
    """Whether each member's weights [K, W] and losses [K] are finite; `val_loss` counts for those `validated` [K]."""
    finite = weights.isfinite().all(dim=1) & train_loss.isfinite()  # [K]
    return finite if val_loss is None else finite & (val_loss.isfinite() | ~validated)

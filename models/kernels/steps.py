"""The training step of a population, compiled: gather, forward, loss, backward, clipping and Adam, without PyTorch."""

from functools import partial

import numpy as np
import torch
from torch import Tensor

from models.kernels.adam import update
from models.kernels.networks import NetworkShape, count_groups, run_items
from models.kernels.recurrence import recurrence as recurrence
from models.kernels.threads import count_threads, share_out
from models.kernels.tiles import CELL_CODES, STATES, Space, make_space
from models.kernels.window_scaling import PLACES
from models.population.adam import BETAS, EPSILON, Moments
from models.population.batches import Origins
from models.population.network import Population
from models.population.tensors import PanelTensors
from models.specs import FitSpec

WORTH_A_THREAD = 20e6
"""Multiplications that take as long as a few hand-offs to another thread, which take some 50 microseconds each."""
NO_ANSWERS, NO_GRADIENTS = np.empty((0, 0, 0), np.float32), np.empty((0, 0), np.float32)


class CompiledSteps:
    """See `models.population.torch_steps.Steps`; the same bits for any number of threads, and for members alone or together."""

    def __init__(self, population: Population, tensors: PanelTensors, spec: FitSpec, threads: int | None = None):
        self.runner = Runner(population, tensors, threads or count_threads(), learns=True, absolute=spec.loss == "mae")
        self.flat, self.spec = population.flat.numpy(), spec
        self.mean, self.square = np.zeros_like(self.flat), np.zeros_like(self.flat)  # [K, P]
        self.count = np.zeros(len(self.flat), dtype=np.int64)  # [K]
        self.moments = Moments(*map(torch.from_numpy, (self.mean, self.square, self.count)))

    def step(self, origins: Tensor, counts: Tensor, rate: Tensor) -> Tensor:
        """See `Steps`."""
        index, real = origins.numpy(), counts.numpy()
        losses, gradients = self.runner.learn(index, real)
        clip, decay = self.spec.clip or 0.0, self.spec.weight_decay
        update(self.flat, self.mean, self.square, gradients, self.count, rate.numpy(), real,
               BETAS, EPSILON, decay, clip)  # fmt: skip
        return torch.from_numpy(losses)

    def gradient(self, origins: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Losses [K] and gradient [K, P] of one batch, without a step."""
        losses, gradients = self.runner.learn(origins.numpy(), counts.numpy())
        whole = gradients.reshape(len(self.flat), -1, self.flat.shape[1]).sum(axis=1)
        return torch.from_numpy(losses), torch.from_numpy(whole)

    def evaluate(self, held_out: Origins) -> Tensor:
        """See `Steps`."""
        sizes = held_out.sizes.contiguous().numpy()
        return torch.from_numpy(self.runner.score(held_out.index.long().numpy(), sizes))


def predict(population: Population, tensors: PanelTensors, origins: Tensor) -> Tensor:
    """See `Population.predict`."""
    runner = Runner(population, tensors, count_threads(), learns=False)
    return torch.from_numpy(runner.forecast(origins.long().numpy()))


class Runner:
    """Runs a population's networks, a share of the items on each thread."""

    def __init__(
        self, population: Population, tensors: PanelTensors, threads: int, learns: bool, absolute: bool = False
    ):
        spec, sizes = population.spec, population.sizes
        self.flat, self.threads = population.flat.numpy(), threads
        self.tensors = tuple(np.ascontiguousarray(part.numpy()) for part in tensors[:3])
        self.training_scales = torch.cat(population.training_scales, dim=1).T.contiguous().numpy()  # [3, K]
        self.network = NetworkShape(
            CELL_CODES[population.cell_name], population.cell.gates, spec.layers, spec.hidden,
            spec.hidden * STATES[population.cell_name], sizes.length, population.steps, population.segment, sizes.horizon,
            sizes.season, sizes.n_covariates, sizes.n_known, population.highway, PLACES[spec.input_offset], PLACES[spec.target_offset],
            spec.window_scale == "window", absolute,
        )  # fmt: skip
        features = population.segment + sizes.n_covariates
        room = (spec.layers, features, spec.hidden, population.steps, sizes.horizon, population.highway)
        self.space = partial(make_space, population.cell_name, *room, learns, learns and spec.layers > 1)
        self.spaces: list[Space] = []  # one a thread that was needed so far
        self.gradients = NO_GRADIENTS

    def learn(self, origins: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Losses [K], and gradients [K * items, P], valid until the next call."""
        items = len(self.flat) * count_groups(origins.shape[1])
        if len(self.gradients) != items:
            self.gradients = np.zeros((items, self.flat.shape[1]), np.float32)
        return self._run(origins, counts, NO_ANSWERS, self.gradients), self.gradients

    def score(self, origins: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Losses [K]."""
        return self._run(origins, counts, NO_ANSWERS, NO_GRADIENTS)

    def forecast(self, origins: np.ndarray) -> np.ndarray:
        """Forecasts [K, M, S]."""
        answers = np.empty((len(self.flat), origins.shape[1], self.network.horizon), np.float32)
        self._run(origins, np.full(len(self.flat), origins.shape[1]), answers, NO_GRADIENTS)
        return answers

    def _run(self, origins: np.ndarray, counts: np.ndarray, answers: np.ndarray, gradients: np.ndarray) -> np.ndarray:
        members, batch = len(self.flat), origins.shape[1]
        items = members * count_groups(batch)
        losses = np.empty(items)
        multiplications = members * batch * self.network.steps * self.flat.shape[1] * (3 if len(gradients) else 1)
        threads = min(self.threads, int(1 + multiplications / WORTH_A_THREAD), items)
        self.spaces += [self.space() for _ in range(threads - len(self.spaces))]
        parts = 1 if threads == 1 else min(items, 8 * threads)  # so that a thread that is held up takes fewer

        def work(part: int, thread: int) -> None:
            begin, end = items * part // parts, items * (part + 1) // parts
            run_items(begin, end, self.network, self.flat, self.training_scales, self.tensors, origins, counts,
                      self.spaces[thread], losses, answers, gradients)  # fmt: skip

        share_out(work, parts, threads)
        return losses.reshape(members, -1).sum(axis=1).astype(np.float32)

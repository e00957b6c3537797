"""The training step of a population, compiled: gather, forward, loss, backward, clipping and Adam, without PyTorch."""

from functools import partial

import numpy as np
import torch
from torch import Tensor

from models.kernels.adam import update
from models.kernels.networks import NetworkShape, Points, count_groups, run_items
from models.kernels.threads import count_threads, share_out
from models.kernels.tiles import CELL_CODES, STATES, Space, make_space
from models.kernels.window_scaling import OFFSET_CODES
from models.population.adam import BETAS, EPSILON, Moments
from models.population.batches import PaddedOrigins
from models.population.network import Population
from models.population.tensors import PanelTensors
from models.specs import FitSpec

WORTH_A_THREAD = 20e6
"""Multiplications that take as long as a few hand-offs to another thread, of some 50 microseconds each."""
NO_FORECASTS, NO_GRADIENTS = np.empty((0, 0, 0), np.float32), np.empty((0, 0), np.float32)


class CompiledSteps:
    """Implements `Steps`, with the same bits for any number of threads, and for members alone or together."""

    def __init__(self, population: Population, tensors: PanelTensors, spec: FitSpec, threads: int | None = None):
        self.runner = Runner(population, tensors, threads or count_threads(), learns=True, absolute=spec.loss == "mae")
        self.flat, self.spec = population.flat.numpy(), spec
        self.mean, self.square = np.zeros_like(self.flat), np.zeros_like(self.flat)  # [K, W] each
        self.count = np.zeros(len(self.flat), dtype=np.int64)  # [K]
        self.moments = Moments(*map(torch.from_numpy, (self.mean, self.square, self.count)))

    def step(self, origins: Tensor, counts: Tensor, rates: Tensor) -> Tensor:
        """See `Steps`."""
        losses, gradients = self.runner.learn(origins.numpy(), counts.numpy())
        clip, decay = self.spec.clip or 0.0, self.spec.weight_decay
        update(self.flat, self.mean, self.square, gradients, self.count, rates.numpy(), counts.numpy(),
               BETAS, EPSILON, decay, clip)  # fmt: skip
        return torch.from_numpy(losses)

    def gradient(self, origins: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Return losses [K] and gradients [K, W] of one batch, without a step."""
        losses, gradients = self.runner.learn(origins.numpy(), counts.numpy())
        by_member = gradients.reshape(len(self.flat), -1, self.flat.shape[1])  # [K, items, W]
        return torch.from_numpy(losses), torch.from_numpy(by_member.sum(axis=1))

    def evaluate(self, held_out: PaddedOrigins) -> Tensor:
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
        self.points = Points(*(np.ascontiguousarray(part.numpy()) for part in tensors))
        self.training_scales = torch.cat(population.training_scales, dim=1).T.contiguous().numpy()  # [3, K]
        self.network = NetworkShape(
            cell=CELL_CODES[population.cell_name],
            gates=population.cell.gates,
            layers=spec.layers,
            units=spec.hidden,
            state=spec.hidden * STATES[population.cell_name],
            length=sizes.length,
            steps=population.steps,
            segment=population.segment,
            horizon=sizes.horizon,
            season=sizes.season,
            n_covariates=sizes.n_covariates,
            n_known=sizes.n_known,
            highway=population.highway,
            input_offset=OFFSET_CODES[spec.input_offset],
            target_offset=OFFSET_CODES[spec.target_offset],
            scaled_by_window=spec.window_scale == "window",
            absolute=absolute,
        )
        self.make_space = partial(
            make_space,
            population.cell_name,
            layers=spec.layers,
            features=population.segment + sizes.n_covariates,
            units=spec.hidden,
            steps=population.steps,
            horizon=sizes.horizon,
            highway=population.highway,
            backward=learns,
            to_inputs=learns and spec.layers > 1,
        )
        self.spaces: list[Space] = []  # one for each thread that was needed so far
        self.gradients = NO_GRADIENTS

    def learn(self, origins: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return losses [K], and gradients [K * items, W] that are valid until the next call."""
        items = len(self.flat) * count_groups(origins.shape[1])
        if len(self.gradients) != items:
            self.gradients = np.zeros((items, self.flat.shape[1]), np.float32)
        return self._run(origins, counts, NO_FORECASTS, self.gradients), self.gradients

    def score(self, origins: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Return losses [K]."""
        return self._run(origins, counts, NO_FORECASTS, NO_GRADIENTS)

    def forecast(self, origins: np.ndarray) -> np.ndarray:
        """Return forecasts [K, M, S]."""
        forecasts = np.empty((len(self.flat), origins.shape[1], self.network.horizon), np.float32)
        self._run(origins, np.full(len(self.flat), origins.shape[1]), forecasts, NO_GRADIENTS)
        return forecasts

    def _run(self, origins: np.ndarray, counts: np.ndarray, forecasts: np.ndarray, gradients: np.ndarray) -> np.ndarray:
        members, batch = len(self.flat), origins.shape[1]
        items = members * count_groups(batch)
        losses = np.empty(items)
        multiplications = members * batch * self.network.steps * self.flat.shape[1] * (3 if len(gradients) else 1)
        threads = min(self.threads, int(1 + multiplications / WORTH_A_THREAD), items)
        self.spaces += [self.make_space() for _ in range(threads - len(self.spaces))]
        parts = 1 if threads == 1 else min(items, 8 * threads)  # small enough that a delayed thread takes fewer

        def work(part: int, thread: int) -> None:
            begin, end = items * part // parts, items * (part + 1) // parts
            run_items(begin, end, self.network, self.flat, self.training_scales, self.points, origins, counts,
                      self.spaces[thread], losses, forecasts, gradients)  # fmt: skip

        share_out(work, parts, threads)
        return losses.reshape(members, -1).sum(axis=1).astype(np.float32)

"""The training step on a GPU: the reference step, captured once in a CUDA graph and then replayed.

A recurrence in PyTorch is thousands of small kernels, and the time goes into launching them. A graph launches all of
them at once: gather, forward, backward, clipping and Adam. Nothing in an epoch waits for the device.
"""

import torch
from torch import Tensor

from models.population.batches import Origins
from models.population.network import Population
from models.population.tensors import PanelTensors
from models.population.torch_steps import TorchSteps
from models.specs import FitSpec

WARM_UPS = 3


class GraphedSteps:
    """See `models.population.torch_steps.Steps`. On a CPU, which has no graphs, every replay is the plain step on the same buffers."""

    def __init__(self, population: Population, tensors: PanelTensors, spec: FitSpec):
        self.plain = TorchSteps(population, tensors, spec)
        self.moments = self.plain.moments
        self.graph: torch.cuda.CUDAGraph | None = None
        self.batch: list[Tensor] = []
        self.loss = torch.empty(0)

    def step(self, origins: Tensor, counts: Tensor, rate: Tensor) -> Tensor:
        """See `Steps`."""
        if not self.batch:
            self.batch = [origins.clone(), torch.zeros_like(counts), rate.clone()]  # none counts, so no member moves
            if origins.is_cuda:
                self._capture()
        for buffer, value in zip(self.batch, (origins, counts, rate), strict=True):
            buffer.copy_(value)
        if self.graph is None:
            self._run()
        else:
            self.graph.replay()
        return self.loss.clone()

    def evaluate(self, held_out: Origins) -> Tensor:
        """See `Steps`."""
        return self.plain.evaluate(held_out)

    def _run(self) -> None:
        self.loss = self.plain.step(*self.batch)

    def _capture(self) -> None:
        """Record the step, once the libraries have allocated what they do on their first calls."""
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                self._run()
        torch.cuda.current_stream().wait_stream(aside)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self._run()

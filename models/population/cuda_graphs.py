"""The training step on a GPU: the reference step, captured once in a CUDA graph and then replayed.

A recurrence in PyTorch is thousands of small kernels, and most of the time goes into launching them. A graph launches
them all at once: gather, forward, backward, clipping and Adam. Nothing within an epoch waits for the device.
"""

import torch
from torch import Tensor

from models.population.batches import PaddedOrigins
from models.population.network import Population
from models.population.tensors import PanelTensors
from models.population.torch_steps import TorchSteps
from models.specs import FitSpec

WARM_UPS = 3


class GraphedSteps:
    """Implements `Steps` by a CUDA graph. On a CPU, which has none, a replay is the plain step on the same buffers."""

    def __init__(self, population: Population, tensors: PanelTensors, spec: FitSpec):
        self.plain = TorchSteps(population, tensors, spec)
        self.moments = self.plain.moments
        self.graph: torch.cuda.CUDAGraph | None = None
        self.buffers: list[Tensor] = []  # origins [K, B], counts [K], rates [K]
        self.loss = torch.empty(0)

    def step(self, origins: Tensor, counts: Tensor, rates: Tensor) -> Tensor:
        """See `Steps`."""
        if not self.buffers:
            self.buffers = [origins.clone(), torch.zeros_like(counts), rates.clone()]  # counts of 0: no member moves
            if origins.is_cuda:
                self._capture()
        for buffer, value in zip(self.buffers, (origins, counts, rates), strict=True):
            buffer.copy_(value)
        if self.graph is None:
            self._run()
        else:
            self.graph.replay()
        return self.loss.clone()

    def evaluate(self, held_out: PaddedOrigins) -> Tensor:
        """See `Steps`."""
        return self.plain.evaluate(held_out)

    def _run(self) -> None:
        self.loss = self.plain.step(*self.buffers)

    def _capture(self) -> None:
        """Record the step, after warm-ups in which the libraries allocate what they need on their first calls."""
        side_stream = torch.cuda.Stream()
        side_stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side_stream):
            for _ in range(WARM_UPS):
                self._run()
        torch.cuda.current_stream().wait_stream(side_stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self._run()

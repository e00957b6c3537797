"""Backends: what computes a population, chosen by its device and by what this machine can do.

All compute the same as plain PyTorch; those that are compiled, or captured in a CUDA graph, are faster.
"""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from models.kernels import load_kernels
from models.population.cuda_graphs import GraphedSteps
from models.population.network import Population
from models.population.steps import Steps
from models.population.tensors import PanelTensors
from models.population.torch_steps import TorchSteps
from models.specs import RECURRENT, FitSpec


class Backend(NamedTuple):
    """How a population is trained and how it forecasts; see `Steps` and `Population.predict` for the meaning."""

    steps: Callable[[Population, PanelTensors, FitSpec], Steps]
    predict: Callable[[Population, PanelTensors, Tensor], Tensor]


PYTORCH = Backend(TorchSteps, Population.predict)
CUDA_GRAPHS = Backend(GraphedSteps, Population.predict)


def choose_backend(population: Population) -> Backend:
    """Return the fastest backend for a population: CUDA graphs on a GPU, else compiled kernels, else plain PyTorch."""
    if population.flat.is_cuda:
        return CUDA_GRAPHS
    kernels = load_kernels() if population.cell_name in RECURRENT else None
    return PYTORCH if kernels is None else Backend(kernels.CompiledSteps, kernels.predict)

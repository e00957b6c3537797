"""The check, before the kernels are used, that they compute on this machine what PyTorch computes."""

import logging
import time

import torch

from models.kernels.compiling import cache_folder
from models.kernels.steps import CompiledSteps
from models.population.arithmetic import small_products
from models.population.network import Population, Sizes
from models.population.tensors import PanelTensors
from models.population.torch_steps import TorchSteps
from models.specs import RECURRENT, FitSpec, RecurrentSpec

log = logging.getLogger("tidecast")
LENGTH, TOLERANCE = 5, 1e-5
SPEC = RecurrentSpec(hidden=5, layers=2, highway=3, segment=2, window_scale="window")
CHECKED = "checked"
"""A file in the cache folder, written once the compiled training step has agreed with PyTorch."""


def first_difference() -> str | None:
    """Compile what is not compiled yet, and compare it with PyTorch; return the first difference, or None."""
    mark = cache_folder() / CHECKED
    if mark.exists():
        return _compare()
    started = time.perf_counter()
    log.info("compiling the kernels for this processor, once: about 20 seconds")
    difference = _compare()
    if difference is None:
        mark.touch()
    log.info("compiled in %.0f s into %s", time.perf_counter() - started, mark.parent)
    return difference


def _compare() -> str | None:
    values = torch.sin(torch.arange(60) * 0.3)
    tensors = PanelTensors(values, values, torch.cos(torch.arange(120).view(60, 2) * 0.2))
    origins, counts = torch.arange(20, 55).unsqueeze(0).repeat(2, 1), torch.tensor([35, 33])
    with small_products():
        for cell in RECURRENT:
            population = Population(cell, SPEC, Sizes(LENGTH, 2, 1, 2, 1), [0, 1])
            plain, compiled = (kind(population, tensors, FitSpec()) for kind in (TorchSteps, CompiledSteps))
            expected, computed = plain.gradient(origins, counts), compiled.gradient(origins, counts)
            for name, ours, theirs in zip(("loss", "gradient"), computed, expected, strict=True):
                error = float((ours - theirs).abs().max() / theirs.abs().max())
                if not error <= TOLERANCE:
                    return f"the {name} of a {cell} differs by {error:.1g} of its size"
            compiled.step(origins, counts, torch.tensor([0.01, 0.01]))  # compiles Adam too
    return None

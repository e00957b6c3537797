"""The check before the kernels are used: that they compute here what PyTorch computes."""

import logging
import time

import numpy as np
import torch

from models.kernels.compiling import cache_folder
from models.kernels.steps import CompiledSteps
from models.population import Population
from models.specs import FitSpec, RecurrentSpec
from models.steps import TorchSteps

log = logging.getLogger("tidecast")
TOLERANCE = 1e-5
CHECKED = "checked"
"""A file in the cache folder that tells that all was compiled and found right once."""


def first_difference() -> str | None:
    """Compile what is not compiled yet, and compare it with PyTorch: the first difference found, or None."""
    mark = cache_folder() / CHECKED
    if mark.exists():
        return _compare()
    began = time.perf_counter()
    log.info("compiling the recurrences for this processor, once: about 20 seconds")
    difference = _compare()
    if difference is None:
        mark.touch()
    log.info("compiled in %.0f s into %s", time.perf_counter() - began, mark.parent)
    return difference


def _compare() -> str | None:
    values = torch.sin(torch.arange(60) * 0.3)
    origins, counts = torch.arange(20, 55).unsqueeze(0).repeat(2, 1), torch.tensor([35, 33])
    for cell in ("rnn", "gru", "lstm"):
        population = Population(cell, RecurrentSpec(hidden=5, layers=2), 2, [0, 1], 0.3, 0.7, compiled=False)
        spec = FitSpec()
        loss, gradient = TorchSteps(population, values, 12, spec).gradient(origins, counts)
        steps = CompiledSteps(population, values, 12, spec)
        ours, theirs = steps.gradient(origins, counts)
        for name, found, expected in (("loss", ours, loss), ("gradient", theirs, gradient)):
            error = float(np.abs(found - expected).max() / np.abs(expected).max())
            if not error <= TOLERANCE:
                return f"the {name} of a {cell} differs by {error:.1g} of its size"
        steps.step(origins, counts, torch.tensor([0.01, 0.01]))
    return None

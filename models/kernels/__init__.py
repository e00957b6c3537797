"""The training step of populations, compiled for this machine's CPU. It changes the speed and nothing else.

Plain PyTorch (`models/population`) is the reference. It also runs wherever the kernels cannot: on a GPU, on a processor
without the vector instructions that make them worth while, and where the check at the start finds a difference.

From the outside in: `steps.py` trains a population, `networks.py` runs whole networks a tile of batch rows at a time,
`window_scaling.py` reads their inputs, `tiles.py` holds a tile's memory, `rnn.py`, `gru.py` and `lstm.py` are the
recurrences, and `products.py` and `vectors.py` the operations that these are made of.
"""

import logging
from functools import cache
from types import ModuleType

log = logging.getLogger("tidecast")


@cache
def load_kernels() -> ModuleType | None:
    """Return `models.kernels.steps`, compiled and checked against PyTorch; None where plain PyTorch has to be used."""
    if not supported():
        log.warning("this processor or Python cannot run the compiled kernels: networks train in plain PyTorch, slower")
        return None
    from models.kernels import checking, steps

    difference = checking.first_difference()
    if difference:
        log.warning("the compiled kernels are not used, since they differ from PyTorch here: %s", difference)
        return None
    return steps


def supported() -> bool:
    """Whether Numba is installed and the processor's vectors are wide enough to gain from."""
    try:
        from models.kernels.vectors import FEATURES
    except ImportError:
        return False
    return "+avx2" in FEATURES and "+fma" in FEATURES

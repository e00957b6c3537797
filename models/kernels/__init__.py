"""The recurrences, compiled for this machine's CPU: an addition to plain PyTorch that changes nothing but the speed.

`models/population/cells.py` is the reference, and what runs where this cannot: on a GPU, in float64, on a processor without the
vector instructions that make it worth while, or where a check at the start finds that it computes something else.

From the outside in: `steps.py` trains a population, `networks.py` runs whole networks a tile of batch rows at a time,
`tiles.py` holds a tile's memory, `rnn.py`, `gru.py` and `lstm.py` are the recurrences, `products.py` and `vectors.py`
what they are made of. `recurrence.py` offers one layer to autograd.
"""

import logging
from functools import cache
from types import ModuleType

log = logging.getLogger("tidecast")


@cache
def load_kernels() -> ModuleType | None:
    """`models.kernels.steps`, compiled and checked against PyTorch; None where plain PyTorch is the better choice."""
    if not supported():
        log.warning("this processor or Python has no compiled recurrences: networks train in plain PyTorch, slower")
        return None
    from models.kernels import checking, steps

    difference = checking.first_difference()
    if difference:
        log.warning("the compiled recurrences are left out, since they differ from PyTorch here: %s", difference)
        return None
    return steps


def supported() -> bool:
    """Whether Numba is there and the processor has vectors that are wide enough to gain from."""
    try:
        from models.kernels.vectors import FEATURES
    except ImportError:
        return False
    return "+avx2" in FEATURES and "+fma" in FEATURES

"""How a flow imports what takes seconds."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quick_imports() -> Iterator[None]:
    """While the block imports, the garbage collector rests, and what was made is never looked over again.

    What libraries make stays; to look it over, again and again while it grows, takes a quarter of the time.
    """
    collects, known = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > known:  # else all is imported, and garbage would be kept for nothing
            gc.freeze()
        if collects:
            gc.enable()

"""What a process has to know at its very start, and how it imports what takes seconds."""

import gc
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

STARTED = time.perf_counter()
"""When this process began, on the clock of `time.perf_counter`."""
USER_ENVIRONMENT = frozenset(os.environ)
"""The names that the user's environment sets, before the command adds its own."""


@contextmanager
def quick_imports() -> Iterator[None]:
    """Pause the garbage collector while the block imports, and exempt what was imported from later collections.

    What libraries create on import stays. Scanning it again and again while it grows takes a quarter of the time.
    """
    was_enabled, modules_before = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > modules_before:  # else nothing was imported, and only garbage would be exempted
            gc.freeze()
        if was_enabled:
            gc.enable()

"""How the kernels are compiled: once for each processor, and kept in the user's cache folder."""

import hashlib
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

from numba import config, njit

log = logging.getLogger("tidecast")
Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function, signature: str | None = None) -> Function:
    """Return the function compiled by Numba: at its first call, or at once for one `signature`.

    It runs without the interpreter's lock. `fastmath` is off: it would let the compiler reorder sums, so that a fresh
    compilation could differ in bits from a cached one.
    """
    previous, config.CACHE_DIR = config.CACHE_DIR, str(cache_folder())
    try:
        return njit(signature, cache=True, nogil=True, error_model="numpy")(function)
    finally:
        config.CACHE_DIR = previous


@cache
def cache_folder() -> Path:
    """Return the folder of compiled code, one for each state of the sources; Numba itself checks one file only."""
    if config.CACHE_DIR:  # the user's own NUMBA_CACHE_DIR
        base = Path(config.CACHE_DIR)
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches" / "tidecast"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tidecast"
    here = Path(__file__).parent
    sources = sorted(here.glob("*.py"))
    digest = hashlib.sha256(b"".join([bytes(here), *(source.read_bytes() for source in sources)])).hexdigest()
    folder = base / f"kernels-{digest[:12]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        log.warning(
            "compiled code cannot be kept (%s), so each run compiles; set XDG_CACHE_HOME to a folder you may write",
            error,
        )
        return Path(tempfile.mkdtemp(prefix="tidecast-"))
    return folder

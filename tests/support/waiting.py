"""Wait until something is true."""

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], bool], seconds: float = 240, pause: float = 0.2) -> None:
    """Ask for a condition again and again, and fail if it does not hold within so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not true after {seconds} s"
        time.sleep(pause)

"""Wait until something is true."""

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], bool], seconds: float = 120, pause: float = 0.2, message: str = "it") -> None:
    """Ask for a condition again and again, and fail with a message if it does not hold within so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{message} is not true after {seconds} s"
        time.sleep(pause)

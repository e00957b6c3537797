"""How long the steps of a flow run take: measured here and nowhere else."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Stopwatch:
    """Counts seconds from its creation on, in addition to the seconds `before`."""

    def __init__(self, before: float = 0.0):
        self.before, self.started = before, time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return self.before + time.perf_counter() - self.started


class Timer:
    """Seconds of one flow run, in total and by step and model."""

    def __init__(self) -> None:
        self.total = Stopwatch()
        self.steps: defaultdict[tuple[str, str], float] = defaultdict(float)

    def seconds(self, step: str, model: str | None = None) -> float:
        """Return the seconds that a step took for one model, or by default for all models together."""
        return sum(
            seconds
            for (step_name, model_name), seconds in self.steps.items()
            if step_name == step and model in (None, model_name)
        )


_TIMER: ContextVar[Timer | None] = ContextVar("timer", default=None)


@contextmanager
def timer() -> Iterator[Timer]:
    """Yield the timer of a flow run, to which `timed` adds while the block lasts."""
    current = Timer()
    token = _TIMER.set(current)
    try:
        yield current
    finally:
        _TIMER.reset(token)


@contextmanager
def timed(step: str, model: str = "") -> Iterator[None]:
    """Add the seconds of the block, or of the function that this decorates, to a step of the timer around it."""
    stopwatch = Stopwatch()
    try:
        yield
    finally:
        if current := _TIMER.get():
            current.steps[step, model] += stopwatch.seconds

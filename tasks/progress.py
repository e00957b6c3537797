"""How training shows that it goes on: a bar on a terminal and in the Prefect UI, a line now and then in a log."""

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tasks.run_page import TrainingBar

log = logging.getLogger("tidecast")
log.setLevel(logging.INFO)  # where nothing is configured, Python would hide what goes well
LINES = 5
"""Lines that a training writes to a log."""

Advance = Callable[[int, Mapping[str, float]], None]
Show = Callable[[int, str], None]


@contextmanager
def progress(model: str, epochs: int) -> Iterator[Advance]:
    """Yields a function to call with each epoch's number and losses."""
    page = TrainingBar(model, epochs)
    with _bar(model, epochs) if sys.stderr.isatty() else _lines(model, epochs) as show:

        def advance(epoch: int, losses: Mapping[str, float]) -> None:
            told = ", ".join(f"{name} {loss:.3g}" for name, loss in losses.items())
            show(epoch, told)
            page.advance(epoch, told)

        yield advance
    page.show()


@contextmanager
def _lines(model: str, epochs: int) -> Iterator[Show]:
    began, every = time.perf_counter(), max(1, epochs // LINES)

    def show(epoch: int, told: str) -> None:
        if epoch % every == 0 or epoch == 1:
            log.info("%s: epoch %d of %d, %s, %.1f s", model, epoch, epochs, told, time.perf_counter() - began)

    yield show


@contextmanager
def _bar(model: str, epochs: int) -> Iterator[Show]:
    columns = (
        TextColumn("{task.description:>9}"),
        BarColumn(),
        TextColumn("{task.fields[told]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns) as bar:
        job = bar.add_task(model, total=epochs, told="")
        yield lambda epoch, told: bar.update(job, completed=epoch, told=f"epoch {epoch} of {epochs}, {told}")
        bar.update(job, completed=epochs)

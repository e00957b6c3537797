"""Show the progress of a training: a bar on a terminal and in the Prefect UI, or a few lines in a log."""

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from models.display import format_number
from tasks.run_page import TrainingBar

log = logging.getLogger("tidecast")
log.setLevel(logging.INFO)  # Python hides these messages by default
LOG_LINES = 5
"""Lines that a training writes to a log, besides one for the first epoch."""

Advance = Callable[[int, Mapping[str, float]], None]
Show = Callable[[int, str], None]


@contextmanager
def progress(model: str, epochs: int) -> Iterator[Advance]:
    """Yield a function to call with the number and the losses of each epoch."""
    page = TrainingBar(model, epochs)
    with _bar(model, epochs) if sys.stderr.isatty() else _lines(model, epochs) as show:

        def advance(epoch: int, losses: Mapping[str, float]) -> None:
            text = ", ".join(f"{name} {format_number(loss)}" for name, loss in losses.items())
            show(epoch, text)
            page.advance(epoch, text)

        yield advance
    page.show()


@contextmanager
def _lines(model: str, epochs: int) -> Iterator[Show]:
    """Yield a function that writes a line to the log at even intervals."""
    began, interval = time.perf_counter(), max(1, epochs // LOG_LINES)

    def show(epoch: int, losses: str) -> None:
        if epoch % interval == 0 or epoch == 1:
            log.info("%s: epoch %d of %d, %s, %.1f s", model, epoch, epochs, losses, time.perf_counter() - began)

    yield show


@contextmanager
def _bar(model: str, epochs: int) -> Iterator[Show]:
    """Yield a function that moves a bar on the terminal."""
    columns = (
        TextColumn("{task.description:>9}"),
        BarColumn(),
        TextColumn("{task.fields[text]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns) as bar:
        job = bar.add_task(model, total=epochs, text="")
        yield lambda epoch, losses: bar.update(job, completed=epoch, text=f"epoch {epoch} of {epochs}, {losses}")
        bar.update(job, completed=epochs)

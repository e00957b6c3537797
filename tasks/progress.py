"""How training shows that it goes on: a bar on a terminal, a line now and then in a log."""

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

log = logging.getLogger("tidecast")
log.setLevel(logging.INFO)  # where nothing is configured, Python would hide what goes well
LINES = 5
"""Lines that a training writes to a log."""

Advance = Callable[[int, Mapping[str, float]], None]


@contextmanager
def progress(model: str, epochs: int) -> Iterator[Advance]:
    """Yields a function to call with each epoch's number and losses."""
    began = time.perf_counter()
    every = max(1, epochs // LINES)

    def write_line(epoch: int, losses: Mapping[str, float]) -> None:
        if epoch % every == 0 or epoch == 1:
            log.info(
                "%s: epoch %d of %d, %s, %.1f s", model, epoch, epochs, _spoken(losses), time.perf_counter() - began
            )

    if not sys.stderr.isatty():
        yield write_line
        return
    columns = (
        TextColumn("{task.description:>9}"),
        BarColumn(),
        TextColumn("{task.fields[losses]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns) as bar:
        job = bar.add_task(model, total=epochs, losses="")
        yield lambda epoch, losses: bar.update(
            job, completed=epoch, losses=f"epoch {epoch} of {epochs}, {_spoken(losses)}"
        )
        bar.update(job, completed=epochs)


def _spoken(losses: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {loss:.3g}" for name, loss in losses.items())

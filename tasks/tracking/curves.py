"""Metrics that grow by the epoch: written down on disk first, then sent about once a second."""

import math
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from mlflow.entities import Metric

from tasks.resuming.journal import Journal
from tasks.tracking.outbox import OUTBOX
from tasks.tracking.tracker import connect

MOST_METRICS = 1000
"""That a request holds."""


class Curves:
    """The losses of a training by epoch; in a journal at `path`, they survive it.

    MLflow keeps one of two metrics that are the same in name, step, value and time. So an epoch that is trained again,
    or sent again, keeps the time at which it was first known; where the disk did not take the journal, what is there
    is not sent again. Every metric is there once.
    """

    def __init__(self, run_id: str, path: Path | None = None, interval: float = 1.0):
        self.run_id, self.interval = run_id, interval
        self.journal = Journal(path) if path else None
        noted = self.journal.read if self.journal else []
        self.known: dict[int, tuple[int, dict[str, float]]] = {epoch: (at, losses) for epoch, at, losses in noted}
        self.waiting: list[Metric] = []
        self.there: set[tuple[str, int]] | None = None
        self.sent = time.monotonic()

    def add(self, epoch: int, losses: Mapping[str, float]) -> None:
        """Note one epoch's losses; those that are no finite number are left out."""
        finite = {name: value for name, value in losses.items() if math.isfinite(value)}
        if epoch not in self.known:
            self.known[epoch] = int(time.time() * 1000), finite
            if self.journal:
                self.journal.note([epoch, *self.known[epoch]])
        self._wait(epoch, finite)
        if time.monotonic() - self.sent >= self.interval or len(self.waiting) >= MOST_METRICS - len(finite):
            self.flush()

    def again(self, until: int) -> list[dict[str, float]]:
        """Send once more what an earlier process noted up to an epoch, which is also given back, epoch by epoch."""
        noted = [self.known[epoch][1] for epoch in range(1, until + 1)]
        for epoch, losses in enumerate(noted, 1):
            self._wait(epoch, losses)
        return noted

    def keep(self) -> None:
        """Have on the disk what was noted.

        **Raises:** `OSError`.
        """
        if self.journal:
            self.journal.keep()

    def flush(self) -> None:
        """Send what waits."""
        with suppress(OSError):  # which a checkpoint meets as well, and tells
            self.keep()
        for begin in range(0, len(self.waiting), MOST_METRICS):
            OUTBOX.post(partial(self._log, self.waiting[begin : begin + MOST_METRICS]))
        self.waiting, self.sent = [], time.monotonic()

    def _wait(self, epoch: int, losses: Mapping[str, float]) -> None:
        noted = self.known[epoch][0]
        self.waiting += [Metric(name, value, noted, epoch) for name, value in losses.items()]

    def _log(self, metrics: list[Metric]) -> None:
        client = connect()
        if self.there is None:
            names = [name for name in client.get_run(self.run_id).data.metrics if not name.startswith("system/")]
            histories = [client.get_metric_history(self.run_id, name) for name in names]
            self.there = {(metric.key, metric.step) for history in histories for metric in history}
        new = [metric for metric in metrics if (metric.key, metric.step) not in self.there]
        if new:
            client.log_batch(self.run_id, metrics=new)

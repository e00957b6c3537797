"""Loss curves: each epoch is written to a journal on disk first, then sent to MLflow about once a second."""

import math
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from mlflow.entities import Metric
from mlflow.tracking import MlflowClient

from tasks.resuming.journal import Journal
from tasks.tracking.tracker import TRACKER

MOST_METRICS = 1000
"""Metrics that one request holds."""


class Curves:
    """The losses of a training by epoch, each sent to MLflow once; a journal at `path` keeps them over a restart.

    MLflow merges two metrics of the same name, step, value and time into one. So an epoch that is trained or sent again
    keeps its first timestamp. In case that is lost, because the journal could not be written, metrics that MLflow
    already has are not sent.
    """

    def __init__(self, run_id: str, path: Path | None = None, interval: float = 1.0):
        self.run_id, self.interval = run_id, interval
        self.journal = Journal(path) if path else None
        recovered = self.journal.recovered if self.journal else []
        self.epochs: dict[int, tuple[int, dict[str, float]]] = {
            epoch: (timestamp, losses) for epoch, timestamp, losses in recovered
        }
        self.waiting: list[Metric] = []
        self.recorded: set[tuple[str, int]] | None = None
        self.last_sent = time.monotonic()

    def add(self, epoch: int, losses: Mapping[str, float]) -> None:
        """Add one epoch's losses; those that are not finite are left out."""
        finite = {name: value for name, value in losses.items() if math.isfinite(value)}
        if epoch not in self.epochs:
            self.epochs[epoch] = int(time.time() * 1000), finite
            if self.journal:
                self.journal.append([epoch, *self.epochs[epoch]])
        self._queue(epoch, finite)
        if time.monotonic() - self.last_sent >= self.interval or len(self.waiting) >= MOST_METRICS - len(finite):
            self.flush()

    def resend(self, last: int) -> list[dict[str, float]]:
        """Send again what the journal of an earlier process holds, up to the epoch `last`; returns these losses."""
        losses = [self.epochs[epoch][1] for epoch in range(1, last + 1)]
        for epoch, losses_of_epoch in enumerate(losses, 1):
            self._queue(epoch, losses_of_epoch)
        return losses

    def write_journal(self) -> None:
        """Write to disk what was added.

        **Raises:** `OSError`.
        """
        if self.journal:
            self.journal.write()

    def flush(self) -> None:
        """Send what is waiting."""
        with suppress(OSError):  # the next checkpoint meets the same error, and warns
            self.write_journal()
        for begin in range(0, len(self.waiting), MOST_METRICS):
            TRACKER.post(partial(self._record, metrics=self.waiting[begin : begin + MOST_METRICS]))
        self.waiting, self.last_sent = [], time.monotonic()

    def _queue(self, epoch: int, losses: Mapping[str, float]) -> None:
        timestamp = self.epochs[epoch][0]
        self.waiting += [Metric(name, value, timestamp, epoch) for name, value in losses.items()]

    def _record(self, client: MlflowClient, metrics: list[Metric]) -> None:
        """Record those of the metrics that an earlier process has not recorded."""
        if self.recorded is None:
            names = [name for name in client.get_run(self.run_id).data.metrics if not name.startswith("system/")]
            histories = [client.get_metric_history(self.run_id, name) for name in names]
            self.recorded = {(metric.key, metric.step) for history in histories for metric in history}
        new = [metric for metric in metrics if (metric.key, metric.step) not in self.recorded]
        if new:
            client.log_batch(self.run_id, metrics=new)

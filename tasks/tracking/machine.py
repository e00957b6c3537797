"""What the machine does meanwhile: processor, memory, disk, network and, where there is one, the GPU."""

from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

from tasks.tracking.client import tracking_uri

SECONDS = 5.0
"""Between two samples, unless `MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL` says otherwise."""


@contextmanager
def system_metrics(run_id: str) -> Iterator[None]:
    """Log the machine's use to a run while the block lasts; a block shorter than the interval leaves none."""
    monitor = SystemMetricsMonitor(run_id, SECONDS, tracking_uri=tracking_uri())  # type: ignore[no-untyped-call]
    monitor.start()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        monitor.finish()  # type: ignore[no-untyped-call]

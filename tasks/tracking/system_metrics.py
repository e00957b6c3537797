"""The machine's use while a model trains: processor, memory, disk, network and, if there is one, the GPU."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from mlflow.entities import Metric
from mlflow.environment_variables import MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL
from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

from tasks.tracking.tracker import TRACKER

INTERVAL = 5.0
"""Seconds between two samples, unless `MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL` says otherwise."""


@contextmanager
def system_metrics(run_id: str, before: float = 0.0) -> Iterator[None]:
    """Log the machine's use to a run while the block lasts; a block shorter than the interval leaves none.

    MLflow's own monitor gives up where its server does not answer. `before`: seconds that earlier processes trained.
    """
    interval, done = float(MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL.get() or INTERVAL), threading.Event()
    monitors = _monitors()

    def watch() -> None:
        step = int(before / interval)
        while not done.wait(interval):
            now, samples = int(time.time() * 1000), dict[str, float]()
            for monitor in monitors:
                monitor.collect_metrics()
                samples |= monitor.aggregate_metrics()
                monitor.clear_metrics()
            _post(run_id, [Metric(f"system/{name}", value, now, step) for name, value in samples.items()])
            step += 1

    threading.Thread(target=watch, name="system metrics", daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _monitors() -> list[Any]:
    monitors = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
    with suppress(Exception):  # no GPU, no driver, or no library for it
        monitors.append(GPUMonitor())
    return monitors


def _post(run_id: str, metrics: list[Metric]) -> None:
    TRACKER.post(lambda client: client.log_batch(run_id, metrics=metrics))

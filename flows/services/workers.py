"""Prefect workers: one for each GPU, or one for the CPU."""

import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from flows.services.processes import Child, Children
from flows.services.server_settings import inherited_environment
from tasks.devices import visible_gpus

WORKER_SETTINGS = {
    "PREFECT_WORKER_QUERY_SECONDS": "2",  # with Prefect's own default a flow run waits for up to 13 s
    "PREFECT_CLI_WRAP_LINES": "false",
}
"""Settings of a worker, unless the user's environment has them."""


@dataclass(frozen=True)
class Worker:
    """A Prefect worker: its work pool, how many flow runs it takes at a time, and the GPU that they see.

    `device` is the last part of its name; `gpus` becomes `CUDA_VISIBLE_DEVICES`, and is empty for the CPU.
    """

    host: str
    device: str
    pool: str
    gpus: str
    limit: int

    @property
    def name(self) -> str:
        """The name of the machine and the device."""
        return f"{self.host}-{self.device}"

    def __str__(self) -> str:
        """What it does, as a sentence."""
        runs = "one flow run" if self.limit == 1 else f"{self.limit} flow runs"
        return f"{self.name} takes {runs} at a time from the pool {self.pool}"

    def start(self, children: Children, log: Path | None = None) -> Child:
        """Start it in the highest layer, so that it is ended before the servers that it uses."""
        arguments = ["--name", self.name, "--pool", self.pool, "--limit", str(self.limit)]
        return children.start(
            f"the worker {self.name}",
            ["prefect", "--no-prompt", "worker", "start", "--type", "process", *arguments],
            {**WORKER_SETTINGS, **inherited_environment(), "CUDA_VISIBLE_DEVICES": self.gpus},
            log=log,
            layer=2,
        )


def gpu_workers(host: str, limit: int | None = None) -> list[Worker]:
    """Return a worker for each visible GPU."""
    gpus = enumerate(visible_gpus())
    return [Worker(host, f"gpu{gpu if gpu.isdecimal() else i}", "gpu", gpu, limit or 1) for i, gpu in gpus]


def cpu_worker(host: str, limit: int | None = None) -> Worker:
    """Return a worker whose flow runs see no GPU; by default it takes a flow run for each core."""
    return Worker(host, "cpu", "cpu", "", limit or cores())


def workers_for_both_pools() -> list[Worker]:
    """Return the workers of this machine that together serve the pools gpu and cpu.

    Without a GPU, two workers share the cores.
    """
    host = socket.gethostname()
    if gpus := gpu_workers(host):
        return [*gpus, cpu_worker(host)]
    half = max(1, cores() // 2)
    return [Worker(host, "cpu-for-gpu", "gpu", "", half), cpu_worker(host, half)]


def start_workers(children: Children, workers: Iterable[Worker], logs: Path) -> dict[Worker, Child]:
    """Start workers, each with a log in the folder `logs`."""
    return {worker: worker.start(children, logs / f"worker-{worker.device}.log") for worker in workers}


def wait_for_workers(children: Children, started: dict[Worker, Child], since: datetime) -> None:
    """Wait until each worker has reported to Prefect's server after `since`."""
    from prefect.client.orchestration import get_client

    from flows.services.deployments import is_online

    with get_client(sync_client=True) as client:
        for worker, child in started.items():
            children.wait(child, partial(is_online, client, worker.pool, worker.name, since), "does not report")


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

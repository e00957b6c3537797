"""The command `tidecast worker`: flow runs of this machine's GPUs, one Prefect worker each, or of its CPU."""

import gc
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console

from flows.catalogue import ROOT
from flows.services.processes import Child, Children
from models.errors import InputError
from tasks.credentials import without_password
from tasks.devices import visible_gpus

Pool = Literal["gpu", "cpu"]
Limit = Annotated[int | None, Parameter(validator=Number(gte=1))]
DEFAULTS = {
    "PREFECT_WORKER_QUERY_SECONDS": "2",  # Prefect's own default lets a flow run wait for up to 13 s
    "PREFECT_CLI_WRAP_LINES": "false",
}


@dataclass(frozen=True)
class Worker:
    """A Prefect worker: the device that its flow runs see, the pool that it takes them from, how many at a time."""

    host: str
    device: str
    pool: Pool
    gpus: str
    limit: int

    @property
    def name(self) -> str:
        """The machine and the device."""
        return f"{self.host}-{self.device}"

    def __str__(self) -> str:
        """What it does, for a person."""
        runs = "one flow run" if self.limit == 1 else f"{self.limit} flow runs"
        return f"{self.name} takes {runs} at a time from the pool {self.pool}"

    def start(self, children: Children, environment: dict[str, str], log: Path | None = None) -> Child:
        """Start it as the last layer: all else ends after it."""
        taking = ["--name", self.name, "--pool", self.pool, "--limit", str(self.limit)]
        return children.start(
            f"the worker {self.name}",
            ["prefect", "--no-prompt", "worker", "start", "--type", "process", *taking],
            {**DEFAULTS, **environment, "CUDA_VISIBLE_DEVICES": self.gpus},
            log=log,
            layer=2,
        )


def gpu_workers(host: str, limit: int | None = None) -> list[Worker]:
    """A worker for each GPU that is visible."""
    numbers = enumerate(visible_gpus())
    return [Worker(host, f"gpu{gpu if gpu.isdecimal() else i}", "gpu", gpu, limit or 1) for i, gpu in numbers]


def cpu_worker(host: str, limit: int | None = None) -> Worker:
    """A worker whose flow runs see no GPU, by default one for each core."""
    return Worker(host, "cpu", "cpu", "", limit or cores())


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker(*, pool: Pool | None = None, limit: Limit = None, name: str | None = None) -> None:
    """What `tidecast worker` does.

    Parameters
    ----------
    pool
        Where the flow runs come from: `gpu` starts a worker for each GPU, `cpu` hides the GPUs; by default `gpu` where
        there is one.
    limit
        Flow runs at a time, for each worker; by default 1 on a GPU, and as many as there are cores on the CPU.
    name
        What the workers are called, before the device; by default the machine's name.
    """
    from flows.services.deployments import check_api
    from flows.services.servers import inherited

    gc.enable()
    host = name or socket.gethostname()
    if set(host) & set("/%"):
        raise InputError(f"--name {host}: the name of a worker holds no / and no %")
    workers = [] if pool == "cpu" else gpu_workers(host, limit)
    say = Console(highlight=False, soft_wrap=True).print
    if pool == "gpu" and not workers:
        say("No GPU is visible here: this worker serves the pool cpu instead.")
    workers = workers or [cpu_worker(host, limit)]
    say(f"Prefect: {without_password(check_api())}")
    runs = without_password(os.environ.get("MLFLOW_TRACKING_URI", ""))
    say(f"Runs are recorded in {runs or f'{ROOT}/mlflow.db; MLFLOW_TRACKING_URI names another place'}")
    with Children() as children:
        for each in workers:
            say(str(each))
            each.start(children, inherited())
        children.watch()

"""The command `tidecast worker`."""

import gc
import os
import socket
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console

from flows.catalogue import ROOT
from flows.services.processes import Children
from flows.services.workers import cpu_worker, gpu_workers
from models.errors import InputError
from tasks.credentials import without_password

Pool = Literal["gpu", "cpu"]
Limit = Annotated[int | None, Parameter(validator=Number(gte=1))]


def worker(*, pool: Pool | None = None, limit: Limit = None, name: str | None = None) -> None:
    """Take flow runs from Prefect: one worker for each GPU, or one for the CPU, until Ctrl-C.

    PREFECT_API_URL says where Prefect is, and MLFLOW_TRACKING_URI where runs are recorded. In a folder where
    `tidecast up` runs, neither has to be set.

    Parameters
    ----------
    pool
        Work pool of the flow runs: `gpu` starts a worker for each GPU, `cpu` hides the GPUs; by default `gpu` if there
        is one.
    limit
        Flow runs at a time, for each worker; by default 1 on a GPU, and one for each core on the CPU.
    name
        First part of the workers' names, before the device; by default the machine's name.
    """
    from flows.services.deployments import check_api

    gc.enable()
    host = name or socket.gethostname()
    if set(host) & set("/%"):
        raise InputError(f"--name {host}: a worker's name cannot contain / or %; choose another")
    workers = [] if pool == "cpu" else gpu_workers(host, limit)
    say = Console(highlight=False, soft_wrap=True).print
    if pool == "gpu" and not workers:
        say("No GPU is visible here: this worker serves the pool cpu instead.")
    workers = workers or [cpu_worker(host, limit)]
    say(f"Prefect: {without_password(check_api())}")
    tracking_uri = without_password(os.environ.get("MLFLOW_TRACKING_URI", ""))
    say(f"Runs are recorded in {tracking_uri or f'{ROOT}/mlflow.db; MLFLOW_TRACKING_URI names another place'}")
    with Children() as children:
        for each in workers:
            say(str(each))
            each.start(children)
        children.watch()

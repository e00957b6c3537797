"""The command `tidecast up`: Prefect, MLflow, workers and all recipes on one machine, until Ctrl-C."""

import base64
import gc
import os
import socket
import urllib.error
import urllib.request
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console

from flows.catalogue import ROOT
from flows.commands.worker import Worker, cores, cpu_worker, gpu_workers
from flows.services import servers
from flows.services.addresses import Address
from flows.services.cleanup import clean_up, keep_cleaning_up
from flows.services.locks import STATE_FOLDER, FolderLock, hold_folder
from flows.services.marks import end_marked
from flows.services.processes import Children
from models.errors import InputError

Port = Annotated[int, Parameter(validator=Number(gte=1, lte=65535))]
say = Console(highlight=False, soft_wrap=True).print


def up(
    *,
    host: str = "127.0.0.1",
    prefect_port: Port = 4200,
    mlflow_port: Port = 5000,
    schedules: bool = False,
    without_passwords: bool = False,
) -> None:
    """What `tidecast up` does.

    Parameters
    ----------
    host
        Address on which both servers listen; one that other machines reach asks for passwords in the environment.
    prefect_port
        Port of Prefect's server.
    mlflow_port
        Port of MLflow's server.
    schedules
        Turn on the schedules of all recipes, which are off otherwise.
    without_passwords
        Let in whoever reaches the servers: they can run any code here.
    """
    gc.enable()
    folder = Path.cwd()
    prefect, mlflow = Address(host, prefect_port), Address(host, mlflow_port)
    if not without_passwords:
        servers.refuse_open_servers(host)
    elif servers.missing_passwords(host):
        say(f"No passwords: whoever reaches port {prefect_port} or {mlflow_port} of {host} can run code here")
    if prefect_port == mlflow_port:
        raise InputError(f"--prefect-port and --mlflow-port are both {mlflow_port}: give each its own")
    with hold_folder(folder) as lock:
        end_leftovers(lock)
        prefect.check("--prefect-port")
        mlflow.check("--mlflow-port")
        os.environ |= servers.clients(prefect, mlflow) | servers.prefect_password()
        with Children(farewell="Ending the workers, Prefect and MLflow") as children:
            lock.write({"mark": children.mark})
            say(f"Starting Prefect and MLflow in {folder} (logs in {STATE_FOLDER}/)")
            start_servers(children, folder, prefect, mlflow)
            workers = workers_here()
            clean_up(say, 0, gone=[each.name for each in workers])
            recipes = start_recipes(children, folder, workers, schedules)
            lock.write({"mark": children.mark, "environment": servers.clients(prefect, mlflow)})
            show(folder, prefect, mlflow, workers, recipes, schedules)
            keep_cleaning_up(say)
            children.watch()


def end_leftovers(lock: FolderLock) -> None:
    """End what a `tidecast up` has left that was killed together with its guardian, as by a machine without memory."""
    if "mark" in lock.leftover and (ended := end_marked(lock.leftover["mark"])):
        killed = lock.leftover["pid"]
        say(f"Ended {ended} processes that an earlier tidecast up left, which was killed (process {killed})")


def start_servers(children: Children, folder: Path, prefect: Address, mlflow: Address) -> None:
    """Start both servers, and wait until they answer."""
    own = folder / STATE_FOLDER
    flows = children.start(
        "the Prefect server",
        servers.prefect_command(prefect),
        servers.prefect_environment(folder, prefect),
        own / "prefect.log",
        layer=1,
    )
    from tasks.tracking.database import make_database, refuse_closed_database  # take seconds, in which the other starts

    environment = servers.mlflow_environment(folder, mlflow)
    refuse_closed_database(environment["MLFLOW_BACKEND_STORE_URI"])
    make_database(environment["MLFLOW_BACKEND_STORE_URI"])
    runs = children.start("the MLflow server", servers.mlflow_command(mlflow), environment, own / "mlflow.log")
    children.wait(flows, lambda: status_of(f"{prefect.url}/api/health") == 200, "does not answer")
    children.wait(runs, lambda: status_of(f"{mlflow.url}/health") == 200, "does not answer")
    if status_of(f"{mlflow.url}/api/2.0/mlflow/experiments/search?max_results=1", servers.mlflow_user()) == 401:
        known = f"MLflow already knows {os.environ[servers.MLFLOW_USER]} by another password"
        raise SystemExit(f"tidecast: {known} than {servers.MLFLOW_PASSWORD} gives; give that one")


def status_of(url: str, user: str | None = None) -> int | None:
    """The status with which a server answers; none where it does not."""
    headers = {"Authorization": f"Basic {base64.b64encode(user.encode()).decode()}"} if user else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as answer:
        return answer.code
    except OSError:
        return None


def workers_here() -> list[Worker]:
    """The workers that together serve both pools."""
    host = socket.gethostname()
    gpus = gpu_workers(host)
    if gpus:
        return [*gpus, cpu_worker(host)]
    say("No GPU is visible here: the CPU serves the pool gpu as well")
    half = max(1, cores() // 2)
    return [Worker(host, "cpu-for-gpu", "gpu", "", half), cpu_worker(host, half)]


def start_recipes(children: Children, folder: Path, workers: list[Worker], schedules: bool) -> int:
    """Make the work pools, deploy all recipes, and start the workers; how many recipes there are."""
    from prefect.client.orchestration import get_client

    from flows.services.deployments import is_online, make_pools, switch_schedules

    own, since = folder / STATE_FOLDER, datetime.now(UTC)
    with get_client(sync_client=True) as client:
        make_pools(client, ["gpu", "cpu"])
        started = [
            (each, each.start(children, servers.inherited(), own / f"worker-{each.device}.log")) for each in workers
        ]
        here = {**servers.inherited(), "PWD": str(ROOT)}  # which the pull step of prefect.yaml keeps
        children.finish(
            children.start(
                "prefect deploy", ["prefect", "--no-prompt", "deploy", "--all"], here, own / "deploy.log", 2, ROOT
            )
        )
        count = switch_schedules(client, schedules)
        for each, child in started:
            children.wait(child, partial(is_online, client, each.pool, each.name, since), "does not report")
    return count


def show(folder: Path, prefect: Address, mlflow: Address, workers: list[Worker], recipes: int, schedules: bool) -> None:
    """Say what runs, and how to use it."""
    say(f"\nPrefect  {prefect.shown}\nMLflow   {mlflow.shown}")
    for each in workers:
        say(f"Worker   {each}")
    say(f"Recipes  {recipes}, their schedules {'on' if schedules else 'off (--schedules turns them on)'}")
    say("\nIn another terminal:")
    say(f"  export PREFECT_API_URL={prefect.shown}/api\n  export MLFLOW_TRACKING_URI={mlflow.shown}")
    if servers.prefect_password():
        say(f'  export PREFECT_API_AUTH_STRING="..."  # what {servers.PREFECT_PASSWORD} is here')
    if servers.mlflow_user():
        say(f'  export {servers.MLFLOW_USER}="..." {servers.MLFLOW_PASSWORD}="..."  # as here')
    say("  prefect deployment run train/gru-sine --watch")
    say(f"tidecast itself finds both from {folder}. Ctrl-C ends it all.")

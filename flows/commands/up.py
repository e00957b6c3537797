"""The command `tidecast up`."""

import gc
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console

from flows.services import server_settings
from flows.services.addresses import Address
from flows.services.cleanup import clean_up, keep_cleaning_up
from flows.services.locks import hold_folder
from flows.services.marks import end_leftovers
from flows.services.processes import Children
from flows.services.servers import start_servers
from flows.services.workers import Worker, start_workers, wait_for_workers, workers_for_both_pools
from models.errors import InputError
from tasks.resuming.locks import STATE_FOLDER

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
    """Run Prefect, MLflow, workers and all recipes on this machine, until Ctrl-C.

    Their data is kept in this folder: prefect.db, mlflow.db, artifacts/, and .tidecast/ with the logs. Settings of
    Prefect and MLflow in the environment, such as the URL of a PostgreSQL database, take precedence. Ctrl-C or a signal
    ends flow runs, workers and servers in this order, and the exit status is 0; it is 1 if one of them ended by itself.

    Parameters
    ----------
    host
        Address on which both servers listen; one that other machines can reach needs passwords in the environment.
    prefect_port
        Port of Prefect's server.
    mlflow_port
        Port of MLflow's server.
    schedules
        Turn on the schedules of all recipes, which are off otherwise.
    without_passwords
        Let everyone in who can reach the servers: they can run any code here.
    """
    gc.enable()
    folder = Path.cwd()
    prefect, mlflow = Address(host, prefect_port), Address(host, mlflow_port)
    if not without_passwords:
        server_settings.refuse_open_servers(host)
    elif server_settings.missing_passwords(host):
        say(f"No passwords: whoever can reach port {prefect_port} or {mlflow_port} of {host} can run code here")
    if prefect_port == mlflow_port:
        raise InputError(f"--prefect-port and --mlflow-port are both {mlflow_port}: give each its own")
    with hold_folder(folder) as lock:
        if ended := end_leftovers(lock.leftover):
            say(f"Ended {ended} processes that a killed tidecast up has left (process {lock.leftover['pid']})")
        prefect.check("--prefect-port")
        mlflow.check("--mlflow-port")
        clients = server_settings.client_environment(prefect, mlflow)
        os.environ |= clients | server_settings.prefect_credentials()
        with Children(end_message="Ending the workers, Prefect and MLflow") as children:
            lock.write({"mark": children.mark})
            say(f"Starting Prefect and MLflow in {folder} (logs in {STATE_FOLDER}/)")
            start_servers(children, folder, prefect, mlflow)
            workers = workers_for_both_pools()
            if not any(worker.gpus for worker in workers):
                say("No GPU is visible here: the CPU serves the pool gpu as well")
            clean_up(say, 0, gone=[worker.name for worker in workers])
            recipes = serve_recipes(children, folder / STATE_FOLDER, workers, schedules)
            lock.write({"mark": children.mark, "environment": clients})
            show_services(folder, prefect, mlflow, workers, recipes, schedules)
            keep_cleaning_up(say)
            children.watch()


def serve_recipes(children: Children, logs: Path, workers: Iterable[Worker], schedules: bool) -> int:
    """Make the work pools, start the workers and deploy all recipes; returns the number of recipes."""
    from flows.services.deployments import deploy_recipes, make_pools

    since = datetime.now(UTC)
    make_pools(["gpu", "cpu"])
    started = start_workers(children, workers, logs)
    recipes = deploy_recipes(children, logs, schedules)
    wait_for_workers(children, started, since)
    return recipes


def show_services(
    folder: Path, prefect: Address, mlflow: Address, workers: Iterable[Worker], recipes: int, schedules: bool
) -> None:
    """Print what runs, and how to use it."""
    say(f"\nPrefect  {prefect.browser_url}\nMLflow   {mlflow.browser_url}")
    for worker in workers:
        say(f"Worker   {worker}")
    say(f"Recipes  {recipes}, their schedules {'on' if schedules else 'off (--schedules turns them on)'}")
    say("\nIn another terminal:")
    say(f"  export PREFECT_API_URL={prefect.browser_url}/api\n  export MLFLOW_TRACKING_URI={mlflow.browser_url}")
    if server_settings.prefect_credentials():
        say(f'  export PREFECT_API_AUTH_STRING="..."  # the value of {server_settings.PREFECT_PASSWORD} here')
    if server_settings.mlflow_credentials():
        user, password = server_settings.MLFLOW_USER, server_settings.MLFLOW_PASSWORD
        say(f'  export {user}="..." {password}="..."  # as here')
    say("  prefect deployment run train/gru-sine --watch")
    say(f"tidecast itself finds both from {folder}. Ctrl-C ends it all.")

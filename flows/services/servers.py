"""Start a Prefect and an MLflow server, and wait until they answer."""

import base64
import os
import urllib.error
import urllib.request
from pathlib import Path

from flows.services import server_settings
from flows.services.addresses import Address
from flows.services.processes import Children
from tasks.resuming.locks import STATE_FOLDER


def start_servers(children: Children, folder: Path, prefect: Address, mlflow: Address) -> None:
    """Start both servers with their data in `folder`, and wait until they answer.

    **Raises:** `SystemExit` with one line where one does not start, or MLflow has another password for the user.
    """
    logs = folder / STATE_FOLDER
    prefect_server = children.start(
        "the Prefect server",
        server_settings.prefect_command(prefect),
        server_settings.prefect_environment(folder, prefect),
        logs / "prefect.log",
        layer=1,
    )
    # Imported here, since it takes seconds, in which Prefect's server starts.
    from tasks.tracking.database import make_database, refuse_closed_database

    environment = server_settings.mlflow_environment(folder, mlflow)
    refuse_closed_database(environment["MLFLOW_BACKEND_STORE_URI"])
    make_database(environment["MLFLOW_BACKEND_STORE_URI"])
    mlflow_server = children.start(
        "the MLflow server", server_settings.mlflow_command(mlflow), environment, logs / "mlflow.log"
    )
    children.wait(prefect_server, lambda: status_of(f"{prefect.url}/api/health") == 200, "does not answer")
    children.wait(mlflow_server, lambda: status_of(f"{mlflow.url}/health") == 200, "does not answer")
    experiments = f"{mlflow.url}/api/2.0/mlflow/experiments/search?max_results=1"
    if status_of(experiments, server_settings.mlflow_credentials()) == 401:
        raise SystemExit(
            f"tidecast: MLflow has another password for the user {os.environ[server_settings.MLFLOW_USER]} than "
            f"{server_settings.MLFLOW_PASSWORD}; set that to the right one"
        )


def status_of(url: str, credentials: str | None = None) -> int | None:
    """Return the status with which a server answers, or None where it does not; `credentials` are `user:password`."""
    headers = {"Authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}"} if credentials else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as answer:
        return answer.code
    except OSError:
        return None

"""Links to the pages of runs in MLflow."""

import os

from tasks.credentials import without_password
from tasks.tracking.experiments import VIEW
from tasks.tracking.tracker import TRACKER

MODE = "workflowType=machine_learning"
"""Opens MLflow's pages as those of models; they would open as those of language models otherwise."""


def pages_url() -> str | None:
    """Return the URL of MLflow's pages, without credentials: `TIDECAST_MLFLOW_URL`, else that of the server."""
    url = os.environ.get("TIDECAST_MLFLOW_URL") or TRACKER.uri
    if not url.startswith("http"):
        return None
    return without_password(url).rstrip("/")


def run_pages(run_id: str) -> tuple[str, str] | None:
    """Return the URLs of a run's page and of all runs of its experiment in its saved view, if there is a server."""
    base = pages_url()
    if base is None:
        return None
    run = TRACKER.ask(lambda client: client.get_run(run_id))
    runs = f"{base}/#/experiments/{run.info.experiment_id}/runs"
    return f"{runs}/{run_id}?{MODE}", f"{runs}?{MODE}&viewStateShareKey={VIEW}"

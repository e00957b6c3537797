"""Links to the pages of runs in MLflow."""

import os

from tasks.credentials import without_password
from tasks.tracking.tracker import TRACKER

MODE = "workflowType=machine_learning"
"""Opens MLflow's pages as those of models; they would open as those of language models otherwise."""


def pages_url() -> str | None:
    """Return the URL of MLflow's pages, without credentials: `TIDECAST_MLFLOW_URL`, else that of the server."""
    url = os.environ.get("TIDECAST_MLFLOW_URL") or TRACKER.uri
    if not url.startswith("http"):
        return None
    return without_password(url).rstrip("/")


def run_page(run_id: str) -> str | None:
    """Return the URL of a run's page, if there is a server."""
    return f"{_runs_page(run_id)}/{run_id}?{MODE}" if pages_url() else None


def experiment_page(run_id: str, view: str) -> str | None:
    """Return the URL of the page with all runs of a run's experiment, in a saved view, if there is a server."""
    return f"{_runs_page(run_id)}?{MODE}&viewStateShareKey={view}" if pages_url() else None


def _runs_page(run_id: str) -> str:
    run = TRACKER.ask(lambda client: client.get_run(run_id))
    return f"{pages_url()}/#/experiments/{run.info.experiment_id}/runs"

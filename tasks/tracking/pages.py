"""Where people find runs in MLflow's pages."""

import os

from tasks.credentials import without_password
from tasks.tracking.outbox import OUTBOX
from tasks.tracking.tracker import connect, tracking_uri

MODE = "workflowType=machine_learning"
"""What makes MLflow's pages those of models; else they open as those of language models."""


def pages_url() -> str | None:
    """Where people open MLflow in a browser, without credentials: `TIDECAST_MLFLOW_URL`, else the server itself."""
    url = os.environ.get("TIDECAST_MLFLOW_URL") or tracking_uri()
    if not url.startswith("http"):
        return None
    return without_password(url).rstrip("/")


def run_page(run_id: str) -> str | None:
    """The page of a run, where there is a server."""
    return f"{_runs(run_id)}/{run_id}?{MODE}" if pages_url() else None


def experiment_page(run_id: str, view: str) -> str | None:
    """The page with all runs of the experiment that a run belongs to, in a saved view, where there is a server."""
    return f"{_runs(run_id)}?{MODE}&viewStateShareKey={view}" if pages_url() else None


def _runs(run_id: str) -> str:
    run = OUTBOX.ask(lambda: connect().get_run(run_id))
    return f"{pages_url()}/#/experiments/{run.info.experiment_id}/runs"

"""An experiment: the runs of one kind, and the columns that its page in MLflow shows first."""

import base64
import json
import re
import time
import zlib

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from tasks.tracking.tracker import DEFAULT_ARTIFACTS, TRACKER

COLUMNS = [
    *(f"metrics.`{name}`" for name in ("val_rmse", "test_rmse", "free_run_rmse_100", "skill", "rmse", "seconds")),
    *(f"tags.`{name}`" for name in ("gate", "version", "chosen", "health", "cutoff", "device")),
]
"""Columns for all kinds of runs; a page shows those that its runs have."""
WIDTHS = {"metrics.`free_run_rmse_100`": 170, "metrics.`val_rmse`": 90}
"""Pixels, where MLflow's own width would cut a name."""
VIEW = "scores"


def experiment_id(client: MlflowClient, name: str) -> str:
    """Return the id of an experiment, which is made if it does not exist."""
    existing = client.get_experiment_by_name(name)
    if existing is not None:
        return str(existing.experiment_id)
    folder = DEFAULT_ARTIFACTS.absolute() / (re.sub(r"[^\w-]+", "-", name)[:60] or "series")
    location = None if TRACKER.uri.startswith("http") else folder.as_uri()  # a server has a place of its own
    tags = {"mlflow.experimentKind": "custom_model_development", f"mlflow.sharedViewState.{VIEW}": saved_view()}
    try:
        return str(client.create_experiment(name, artifact_location=location, tags=tags))
    except MlflowException as error:  # another run was faster
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return experiment_id(client, name)


def saved_view() -> str:
    """Return the view "Scores" as MLflow's page saves a view: a row for each run, with the scores as columns."""
    order = {"orderByKey": "attributes.start_time", "orderByAsc": False}
    state = {"selectedColumns": COLUMNS, "columnOrder": COLUMNS, "columnWidths": WIDTHS, **order}
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
    now = int(time.time() * 1000)
    return json.dumps({"name": "Scores", "createdAt": now, "updatedAt": now, "state": f"deflate;{packed}"})

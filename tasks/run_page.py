"""Artifacts on the page of a flow run in the Prefect UI: links, tables and progress bars."""

import time
from typing import Any, cast
from uuid import UUID

from prefect.artifacts import (
    create_link_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.runtime import flow_run

from models.display import printable
from tasks.tracking.pages import run_pages


def link_run(run_id: str) -> None:
    """Link to the MLflow run and to all runs of its experiment, where an MLflow server shows them."""
    if flow_run.id and (pages := run_pages(run_id)):
        this_run, all_runs = pages
        description = "Settings, scores, plots and the verdict of this flow run"
        create_link_artifact(this_run, "This run in MLflow", key="mlflow-run", description=description)
        text, description = "All runs of the experiment in MLflow", "Every run of this kind with its scores"
        create_link_artifact(all_runs, text, key="mlflow-scores", description=description)


def show_table(key: str, rows: list[dict[str, Any]], description: str) -> None:
    """Show a table with a dictionary for each row, its texts shortened; the key is in lower case with dashes."""
    if flow_run.id:
        table = [
            {printable(name): printable(cell) if isinstance(cell, str) else cell for name, cell in row.items()}
            for row in rows
        ]
        create_table_artifact(table, key=key, description=description)


class TrainingBar:
    """A progress bar of a training in the Prefect UI, updated about once a second."""

    def __init__(self, model: str, epochs: int, interval: float = 1.0):
        self.model, self.epochs, self.interval = model, epochs, interval
        self.bar: UUID | None = None
        self.latest = (0, "")
        if flow_run.id:
            key = f"training-{model.replace('_', '-')}"
            description = f"{model}: epoch 0 of {epochs}"
            self.bar = cast(UUID, create_progress_artifact(0.0, key=key, description=description))
        self.updated = time.monotonic()

    def advance(self, epoch: int, losses: str) -> None:
        """Move on to an epoch, and show it if the last update is long enough ago."""
        self.latest = epoch, losses
        if time.monotonic() - self.updated >= self.interval:
            self.show()

    def show(self) -> None:
        """Show the latest epoch."""
        if self.bar:
            epoch, losses = self.latest
            description = f"{self.model}: epoch {epoch} of {self.epochs}, {losses}"
            update_progress_artifact(self.bar, 100.0 * epoch / self.epochs, description=description)
        self.updated = time.monotonic()

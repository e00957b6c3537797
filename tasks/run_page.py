"""What the page of a flow run shows in the Prefect UI beside its chain of tasks: a link, tables, bars."""

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
from tasks.tracking.experiments import VIEW
from tasks.tracking.pages import experiment_page, run_page


def link_run(run_id: str) -> None:
    """Links to the MLflow run and to all runs of its experiment, where MLflow has pages."""
    here, all_runs = run_page(run_id), experiment_page(run_id, VIEW)
    if flow_run.id and here and all_runs:
        told = "Settings, scores, plots and the verdict of this flow run"
        create_link_artifact(here, "This run in MLflow", key="mlflow-run", description=told)
        told = "Every run of this kind with its scores"
        create_link_artifact(all_runs, "All runs of the experiment in MLflow", key="mlflow-scores", description=told)


def show_table(key: str, rows: list[dict[str, Any]], description: str) -> None:
    """A table, a row a dictionary; the key is lower case with dashes. Texts are cut to what a cell shows."""
    if flow_run.id:
        table = [
            {printable(name): printable(cell) if isinstance(cell, str) else cell for name, cell in row.items()}
            for row in rows
        ]
        create_table_artifact(table, key=key, description=description)


class TrainingBar:
    """A bar that fills while a model trains, about once a second."""

    def __init__(self, model: str, epochs: int, interval: float = 1.0):
        self.model, self.epochs, self.interval = model, epochs, interval
        self.bar: UUID | None = None
        self.waiting = (0, "")
        if flow_run.id:
            key = f"training-{model.replace('_', '-')}"
            told = f"{model}: epoch 0 of {epochs}"
            self.bar = cast(UUID, create_progress_artifact(0.0, key=key, description=told))
        self.updated = time.monotonic()

    def advance(self, epoch: int, told: str) -> None:
        """Note an epoch and what is told of it."""
        self.waiting = epoch, told
        if time.monotonic() - self.updated >= self.interval:
            self.show()

    def show(self) -> None:
        """Fill the bar up to the last epoch that was noted."""
        if self.bar:
            epoch, told = self.waiting
            text = f"{self.model}: epoch {epoch} of {self.epochs}, {told}"
            update_progress_artifact(self.bar, 100.0 * epoch / self.epochs, description=text)
        self.updated = time.monotonic()

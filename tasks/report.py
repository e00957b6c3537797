"""What a person reads when a run is over."""

import math
from pathlib import Path
from typing import Any

from rich.table import Table

from tasks.evaluation import chosen_by
from tasks.tracking.client import DEFAULT_URI, tracking_uri
from tasks.tracking.files import artifact_folder

COLUMNS = {
    "train_rmse": "training",
    "val_rmse": "validation",
    "test_rmse": "test",
    "free_run_rmse_100": "free 100",
    "free_run_rmse_1000": "free 1000",
}


def comparison_table(summary: dict[str, Any]) -> Table:
    """Models and baselines with their RMSE: one step ahead, and running free."""
    rows = {name: model["metrics"] for name, model in summary["models"].items()} | summary["baselines"]
    columns = [column for column in COLUMNS if any(column in scores for scores in rows.values())]
    if "val_rmse" in columns or "test_rmse" in columns:
        columns.remove("train_rmse")
    table = Table(
        title=f"{summary['recipe']}: RMSE in the series' own units", title_justify="left", header_style="bold"
    )
    table.add_column("model")
    for column in columns:
        table.add_column(COLUMNS[column], justify="right")
    table.add_column("seconds", justify="right")
    for name, scores in rows.items():
        model = summary["models"].get(name)
        label = f"{name} *" if name == summary["chosen"] else name
        seconds = f"{model['seconds']:.1f}" if model else ""
        table.add_row(label, *(number(scores.get(column, math.nan)) for column in columns), seconds)
        if name == list(summary["models"])[-1]:
            table.add_section()
    return table


def number(score: float) -> str:
    """Three significant digits, or a dash where there is no score."""
    return f"{score:.3g}" if math.isfinite(score) else "–"


def where_to_look(summary: dict[str, Any]) -> str:
    """What was written, and the command that shows it."""
    seconds, measure = summary["seconds"], chosen_by(summary["models"][summary["chosen"]]["metrics"])
    lines = [
        f"* has the lowest {COLUMNS[measure]} RMSE of the models. {seconds['total']:.1f} s in all: "
        f"start {seconds['start']:.1f}, training {seconds['train']:.1f}, recording {seconds['record']:.1f}.",
        "",
        f"Plots, predictions and forecasters, by run of the experiment {summary['experiment']}:",
        f"  {'comparison':<10}  {_near(artifact_folder(summary['parent_run_id']))}",
        *(f"  {name:<10}  {_near(artifact_folder(model['run_id']))}" for name, model in summary["models"].items()),
    ]
    local = tracking_uri() == DEFAULT_URI
    lines += [f"Curves, plots and models of all runs (in {tracking_uri()}): {'make ui' if local else tracking_uri()}"]
    return "\n".join(lines)


def _near(place: str) -> str:
    """A path as it is typed from here, where it lies below; else as it is."""
    path = Path(place)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else place

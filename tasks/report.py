"""What a person reads when a run is over."""

import math
from typing import Any

from rich.table import Table

from tasks.tracking import DEFAULT_URI, artifact_folder, tracking_uri

COLUMNS = {
    "val_rmse": "validation",
    "test_rmse": "test",
    "free_run_rmse_100": "free 100",
    "free_run_rmse_1000": "free 1000",
}


def comparison_table(summary: dict[str, Any]) -> Table:
    """Models and baselines with their RMSE: one step ahead, and running free."""
    rows = {name: model["metrics"] for name, model in summary["models"].items()} | summary["baselines"]
    columns = [column for column in ("train_rmse", *COLUMNS) if any(column in scores for scores in rows.values())]
    if "val_rmse" in columns or "test_rmse" in columns:
        columns.remove("train_rmse")
    table = Table(
        title=f"{summary['recipe']}: RMSE in the series' own units", title_justify="left", header_style="bold"
    )
    table.add_column("model")
    for column in columns:
        table.add_column(COLUMNS.get(column, "training"), justify="right")
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
    seconds = summary["seconds"]
    lines = [
        f"* chosen by validation RMSE. {seconds['total']:.1f} s in all: start {seconds['start']:.1f}, "
        f"training {seconds['train']:.1f}, recording {seconds['record']:.1f}.",
        "Plots, predictions and models:",
        f"  comparison  {artifact_folder(summary['parent_run_id'])}",
        *(f"  {name:<10}  {artifact_folder(model['run_id'])}" for name, model in summary["models"].items()),
    ]
    where = "make ui" if tracking_uri() == DEFAULT_URI else tracking_uri()
    return "\n".join(
        [*lines, f"Runs, curves and models in the MLflow UI (experiment {summary['experiment']}): {where}"]
    )

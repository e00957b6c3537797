"""What a person reads when a run is over."""

import math
from collections.abc import Mapping
from typing import Any

from rich.table import Table

from tasks.credentials import without_password
from tasks.evaluation import beaten, selection_metric
from tasks.tracking.files import artifact_folder, relative_to_here
from tasks.tracking.tracker import DEFAULT_URI, TRACKER

COLUMNS = {
    "train_rmse": "training",
    "val_rmse": "validation",
    "test_rmse": "test",
    "free_run_rmse_100": "free 100",
    "free_run_rmse_1000": "free 1000",
}


def comparison_rows(scores: Mapping[str, Mapping[str, float]], chosen: str) -> list[dict[str, str]]:
    """Models and baselines with their RMSE, a row each, one step ahead and running free; a star marks the chosen.

    A score that none has is left out, and so is the training part's where there is a later part.
    """
    columns = [column for column in COLUMNS if any(column in of_one for of_one in scores.values())]
    if "val_rmse" in columns or "test_rmse" in columns:
        columns.remove("train_rmse")
    return [
        {"model": f"{name} *" if name == chosen else name}
        | {COLUMNS[column]: format_number(of_one.get(column, math.nan)) for column in columns}
        for name, of_one in scores.items()
    ]


def markdown_table(rows: list[dict[str, str]]) -> str:
    """Rows of one form as a table in Markdown, the numbers to the right."""
    names = list(rows[0])
    lines = [names, [":--", *["--:"] * (len(names) - 1)], *(row.values() for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def comparison_table(summary: dict[str, Any]) -> Table:
    """The same as a table for the terminal, with the seconds that each training took."""
    scores = {name: model["metrics"] for name, model in summary["models"].items()} | summary["baselines"]
    rows = comparison_rows(scores, summary["chosen"])
    table = Table(
        title=f"{summary['experiment']}: RMSE in the series' own units",
        title_justify="left",
        header_style="bold",
    )
    for name in (*rows[0], "seconds"):
        table.add_column(name, justify="left" if name == "model" else "right")
    for name, row in zip(scores, rows, strict=True):
        model = summary["models"].get(name)
        table.add_row(*row.values(), f"{model['seconds']:.1f}" if model else "")
        if name == list(summary["models"])[-1]:
            table.add_section()
    return table


def format_number(score: float) -> str:
    """Three significant digits, or a dash where there is no score."""
    if not math.isfinite(score):
        return "–"
    rounded = float(f"{score:.3g}")
    return f"{rounded:,.0f}" if 1000 <= abs(rounded) < 1e6 else f"{score:.3g}"


def told(registered: dict[str, Any]) -> str:
    """What the registry and the gate made of the run."""
    name, format_number = registered["name"], registered["version"]
    decision = "the champion" if registered["champion"] else "not the champion"
    return f"Registered as {name}/{format_number}, {decision}: {registered['reason']}."


def worse_than_all(summary: dict[str, Any]) -> list[str]:
    """A line for the models that are worse than every baseline, where there are any."""
    found = [name for name, model in summary["models"].items() if not beaten(model["metrics"], summary["baselines"])]
    return [f"Worse than every baseline: {', '.join(found)}."] if found else []


def where_to_look(summary: dict[str, Any]) -> str:
    """What was written, and the command that shows it."""
    seconds, measure = summary["seconds"], selection_metric(summary["models"][summary["chosen"]]["metrics"])
    lines = [
        f"* has the lowest {COLUMNS[measure]} RMSE of the models. {seconds['total']:.1f} s in all: "
        f"start {seconds['start']:.1f}, training {seconds['train']:.1f}, recording {seconds['record']:.1f}.",
        told(summary["registered"]),
        *worse_than_all(summary),
        "",
        f"Plots, predictions and forecasters, by run of the experiment {summary['experiment']}:",
        f"  {'comparison':<10}  {relative_to_here(artifact_folder(summary['parent_run_id']))}",
        *(
            f"  {name:<10}  {relative_to_here(artifact_folder(model['run_id']))}"
            for name, model in summary["models"].items()
        ),
    ]
    uri = without_password(TRACKER.uri)
    lines += [f"Curves, plots and models of all runs: {f'make ui (in {uri})' if uri == DEFAULT_URI else uri}"]
    return "\n".join(lines)

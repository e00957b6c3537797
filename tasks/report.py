"""What a command prints when its flow has ended: tables and text, from the summary of the flow."""

from collections.abc import Callable, Mapping
from itertools import zip_longest
from typing import Any

from rich.table import Table

from tasks.comparison import Choice, beaten_baselines, describe_better, describe_choice
from tasks.credentials import without_password
from tasks.score_tables import Rows, ScoresByModel, backtest_columns, score_rows, training_columns
from tasks.tracking.files import artifact_folder, relative_to_here
from tasks.tracking.tracker import DEFAULT_URI, TRACKER

Summary = Mapping[str, Any]
Report = list[Table | str]
"""What is printed, one below the other."""


def report_training(summary: Summary) -> Report:
    """Return a table of the scores, and lines about the choice, the seconds and the files."""
    seconds = summary["seconds"]
    lines = [
        f"* {describe_choice(summary['chosen'], summary['chosen_by'])}. {seconds['total']:.1f} s in all: "
        f"start {seconds['start']:.1f}, training {seconds['train']:.1f}, recording {seconds['record']:.1f}.",
        _describe_registration(summary["registered"]),
    ]
    if worse := models_worse_than_baselines(summary):
        lines.append(f"Worse than every baseline: {', '.join(worse)}.")
    run_ids = {"comparison": summary["parent_run_id"]}
    run_ids |= {name: model["run_id"] for name, model in summary["models"].items()}
    lines += [
        "",
        f"Plots, predictions and forecasters, by run of the experiment {summary['experiment']}:",
        *(f"  {name:<10}  {_folder(run_id)}" for name, run_id in run_ids.items()),
        f"Curves, plots and models of all runs: {_where_runs_are_shown()}",
    ]
    return [*_first_line(summary), training_table(summary), "\n".join(lines)]


def training_table(summary: Summary) -> Table:
    """Return the RMSE of models and baselines, and the seconds of the models."""
    scores = _scores(summary)
    steps = summary["horizon"]
    ahead = f" over {steps:,} steps" if steps > 1 else ""
    title = f"{summary['experiment']}: RMSE{ahead} in the series' own units"
    rows = score_rows(scores, summary["chosen"], training_columns(scores, summary["chosen_by"]))
    return _comparison_table(title, rows, summary["models"])


def report_backtest(summary: Summary) -> Report:
    """Return a table of the scores, and lines about the seconds and the files."""
    scores, seconds = _scores(summary), summary["seconds"]
    title = f"{summary['experiment']}: {summary['description']}"
    rows = score_rows(scores, summary["chosen"], backtest_columns(scores, summary["chosen_by"]))
    lines = [
        f"{seconds['total']:.1f} s in all: start {seconds['start']:.1f}, training {seconds['train']:.1f}, forecasting "
        f"{seconds['forecast']:.1f}.",
        f"Forecasts, scores by series and step, and plots: {_folder(summary['parent_run_id'])}",
    ]
    if summary["output"]:
        lines.append(f"Forecasts written to {summary['output']}")
    return [*_first_line(summary), _comparison_table(title, rows, summary["models"]), "\n".join(lines)]


def _first_line(summary: Summary) -> Report:
    """Return the line that says that a baseline is better than every model, if one is."""
    choice = Choice(summary["chosen"], summary["chosen_by"], summary["better_baseline"])
    return [sentence] if (sentence := describe_better(choice, _scores(summary))) else []


def report_forecast(summary: Summary) -> Report:
    """Return lines that say what was forecast, and where it is kept."""
    steps = summary["rows"] // summary["series"]
    of_each = f" of each of {summary['series']} series" if summary["series"] > 1 else ""
    lines = [
        f"{summary['model']}, version {summary['version']} ({summary['column']}): {steps} steps{of_each} beyond "
        f"{summary['cutoff']}, up to {summary['last']}.",
        f"  kept in    {_folder(summary['run_id'])}",
    ]
    if summary["output"]:
        lines.append(f"  written to {summary['output']}")
    return ["\n".join(lines)]


def report_monitoring(summary: Summary) -> Report:
    """Return a table of the latest scores if there are any, and lines about the model's health."""
    text = f"{summary['model']}: {summary['health']}: {summary['reason']}.\n  kept in {_folder(summary['run_id'])}"
    if not summary["forecasts"]:
        return [text]
    table = Table(title="RMSE of the latest forecasts, in the series' own units", title_justify="left")
    for heading in summary["forecasts"][0]:
        table.add_column(heading, justify="left" if heading == "cutoff" else "right")
    for row in summary["forecasts"]:
        table.add_row(*row.values())
    return [table, text]


def models_worse_than_baselines(summary: Summary) -> list[str]:
    """Return the models that are worse than every baseline."""
    models, baselines = summary["models"].items(), summary["baselines"]
    return [name for name, model in models if not beaten_baselines(model["metrics"], baselines)]


def _scores(summary: Summary) -> ScoresByModel:
    """Return the scores of the models, and then of the baselines."""
    return {name: model["metrics"] for name, model in summary["models"].items()} | summary["baselines"]


def _comparison_table(title: str, rows: Rows, models: Summary) -> Table:
    """Return the rows of models and then baselines as a table for the terminal, with the seconds of each model."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for heading in (*rows[0], "seconds"):
        table.add_column(heading, justify="left" if heading == "model" else "right", no_wrap=heading == "model")
    for row, model in zip_longest(rows, models.values()):
        table.add_row(*row.values(), f"{model['seconds']:.1f}" if model else "")
    table.rows[len(models) - 1].end_section = True
    return table


def _describe_registration(registered: Mapping[str, Any]) -> str:
    """Say under which name the model is registered, and whether it is the champion."""
    name, decision = registered["name"], "the champion" if registered["champion"] else "not the champion"
    return f"Registered as {name}/{registered['version']}, {decision}: {registered['reason']}."


def _folder(run_id: str) -> str:
    """Return the folder of a run's files, as a relative path if it lies below the current folder."""
    return relative_to_here(artifact_folder(run_id))


def _where_runs_are_shown() -> str:
    """Return the command that opens MLflow's pages, or the address of its server."""
    uri = without_password(TRACKER.uri)
    return f"make ui (in {uri})" if uri == DEFAULT_URI else uri


REPORTS: dict[str, Callable[[Summary], Report]] = {
    "train": report_training,
    "backtest": report_backtest,
    "forecast": report_forecast,
    "monitor": report_monitoring,
}
"""The report of each flow."""

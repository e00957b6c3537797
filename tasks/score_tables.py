"""Tables of the scores of models and baselines, with the columns that a person wants to see."""

import math
from collections.abc import Mapping

from models.display import format_number

Rows = list[dict[str, str]]
ScoresByModel = Mapping[str, Mapping[str, float]]
"""Scores by the name of the model or baseline, and by metric."""

TRAINING_COLUMNS = {
    "train_rmse": "training",
    "val_rmse": "validation",
    "test_rmse": "test",
    "val_mase": "val MASE",
    "test_mase": "test MASE",
    "free_run_rmse_100": "free 100",
    "free_run_rmse_1000": "free 1000",
}
BACKTEST_COLUMNS = {"test_rmse": "RMSE", "test_smape": "sMAPE", "test_mase": "MASE"}


def training_columns(scores: ScoresByModel, chosen_by: str | None) -> dict[str, str]:
    """Return the metrics to show after a training, with their headings.

    Left out are metrics without any score, the training RMSE if there is a later part, and MASE unless it chose.
    """
    metrics = {metric for model_scores in scores.values() for metric in model_scores}
    if metrics & {"val_rmse", "test_rmse"}:
        metrics.discard("train_rmse")
    if chosen_by != "val_mase":
        metrics -= {"val_mase", "test_mase"}
    return {metric: heading for metric, heading in TRAINING_COLUMNS.items() if metric in metrics}


def backtest_columns(scores: ScoresByModel, chosen_by: str | None) -> dict[str, str]:
    """Return the metrics to show after a backtest, with their headings; the one that chose the model comes first."""
    metrics = {metric for model_scores in scores.values() for metric in model_scores}
    columns = {chosen_by: f"val {BACKTEST_COLUMNS[chosen_by.replace('val', 'test')]}"} if chosen_by else {}
    columns |= {metric: heading for metric, heading in BACKTEST_COLUMNS.items() if metric in metrics}
    for kind, heading in (("coverage", "cover"), ("width", "width")):
        names = sorted(metric for metric in metrics if metric.startswith(f"test_{kind}_"))
        columns |= {metric: f"{heading} {metric.rsplit('_', 1)[1]} %" for metric in names}
    return columns


def score_rows(scores: ScoresByModel, chosen: str, columns: Mapping[str, str]) -> Rows:
    """Return a row for each model and baseline, with `columns` from metrics to headings; a star marks the chosen."""
    return [
        {"model": f"{name} *" if name == chosen else name}
        | {heading: _format_score(metric, model_scores.get(metric, math.nan)) for metric, heading in columns.items()}
        for name, model_scores in scores.items()
    ]


def _format_score(metric: str, score: float) -> str:
    """Format a coverage in percent, and other scores with three digits."""
    is_share = metric.startswith("test_coverage") and math.isfinite(score)
    return f"{100 * score:.1f} %" if is_share else format_number(score)


def markdown_table(rows: Rows) -> str:
    """Format rows as a table in Markdown, with the numbers to the right."""
    headings = list(rows[0])
    lines = [headings, [":--", *["--:"] * (len(headings) - 1)], *(row.values() for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)

"""Compare models with each other and with the naive baselines.

A *measure* is a formula, such as `rmse`; a *metric* is a measure on a part, such as `val_rmse`, named as in MLflow; a
*score* is the value of a metric for one model or baseline.
"""

from collections.abc import Collection, Mapping

import numpy as np

from models.metrics import skill

Scores = Mapping[str, float]
"""The scores of one model or baseline, by metric."""


def choose_model(scores: Mapping[str, Scores], metric: str | None = None) -> str:
    """Return the model with the lowest score; if none has a finite score, the first model.

    The default metric is the validation RMSE, or the training RMSE if there is no validation part.
    """

    def score_of(name: str) -> float:
        score = scores[name].get(metric or selection_metric(scores[name]), np.nan)
        return score if np.isfinite(score) else np.inf

    return min(scores, key=score_of)


def selection_metric(scores: Scores) -> str:
    """Return the metric by which a model is chosen: the RMSE of the validation part, else that of the training part."""
    return "val_rmse" if "val_rmse" in scores else "train_rmse"


def comparison_metric(scores: Scores) -> str:
    """Return the metric by which a model is compared with the baselines: the RMSE of the latest part."""
    return "test_rmse" if "test_rmse" in scores else selection_metric(scores)


def beaten_baselines(scores: Scores, baselines: Mapping[str, Scores]) -> list[str]:
    """Return the baselines that a model beats, by RMSE on the latest part."""
    metric = comparison_metric(scores)
    return [name for name, baseline in baselines.items() if scores[metric] < baseline.get(metric, -np.inf)]


def beaten_tag(scores: Scores, baselines: Mapping[str, Scores]) -> str:
    """Return the beaten baselines as the value of a tag."""
    return ", ".join(beaten_baselines(scores, baselines)) or "no baseline"


def baseline_metrics(baselines: Mapping[str, Scores]) -> dict[str, float]:
    """Return the scores of the baselines under their names in MLflow, such as `baseline_last_value_val_rmse`."""
    return {
        f"baseline_{name}_{metric}": score for name, baseline in baselines.items() for metric, score in baseline.items()
    }


def skill_metrics(
    scores: Scores, baselines: Mapping[str, Scores], metrics: Collection[str] | None = None
) -> dict[str, float]:
    """Return a model's skill over each baseline, such as `skill_last_value_val_rmse`, by default for all metrics.

    There is no skill over a baseline without error.
    """
    return {
        f"skill_{name}_{metric}": skill(scores[metric], baseline[metric])
        for name, baseline in baselines.items()
        for metric in (scores if metrics is None else metrics)
        if metric in scores and baseline.get(metric, 0.0) > 0
    }

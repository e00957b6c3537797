"""Compare models with each other and with the naive baselines.

A *measure* is a formula, such as `rmse`; a *metric* is a measure on a part, such as `val_rmse`, named as in MLflow; a
*score* is the value of a metric for one model or baseline.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from models.baselines import BASELINES
from models.display import format_number
from models.metrics import skill
from models.specs import COMBINED

Scores = Mapping[str, float]
"""The scores of one model or baseline, by metric."""


PARTS = {"train": "training", "val": "validation"}
COMBINED_MARGIN = 0.02
"""Share by which a single model has to be better than the mean of all to be chosen."""


@dataclass(frozen=True)
class Choice:
    """The chosen `model`; the `metric` that chose it, None if the first one was taken; and a better baseline, if any.

    `better` names the best baseline if it is better than every model by this metric.
    """

    model: str
    metric: str | None
    better: str | None


def describe_better(choice: Choice, scores: Mapping[str, Scores]) -> str:
    """Say that a baseline is better than every model on the validation part; empty where none is."""
    if not choice.better or not choice.metric:
        return ""
    part, measure = choice.metric.split("_")
    lowest = min(_finite_score(scores[name], choice.metric) for name in scores if name not in BASELINES)
    best_model = f"the best model {format_number(lowest)}" if np.isfinite(lowest) else "no model has any"
    return (
        f"{choice.better} is better than every model on the {PARTS[part]} part: {measure.upper()} "
        f"{format_number(scores[choice.better][choice.metric])}, {best_model}."
    )


def describe_choice(chosen: str, metric: str | None) -> str:
    """Say why a model was chosen, as the end of a sentence that begins with it."""
    if metric is None:
        return "is the first model"
    part, measure = metric.split("_")
    of_part = f"{PARTS[part]} {measure.upper()}"
    if chosen == COMBINED:
        return f"is the weighted mean of the networks and baselines: no model has a {of_part} that is lower by 2 %"
    return f"has the lowest {of_part} of the models" if chosen not in BASELINES else f"has the lowest {of_part} of all"


def choose_model(scores: Mapping[str, Scores], metric: str) -> str:
    """Return the model with the lowest score; if none has a finite score, the first model.

    The weighted mean, `combined`, is chosen unless another model is better by more than 2 %: validation can hardly tell
    smaller differences from chance.
    """
    finite = {name: _finite_score(scores[name], metric) for name in scores}
    best = min(finite, key=lambda name: finite[name])
    is_as_good = COMBINED in finite and finite[COMBINED] * (1 - COMBINED_MARGIN) <= finite[best] < np.inf
    return COMBINED if is_as_good else best


def choose(models: Mapping[str, Scores], baselines: Mapping[str, Scores], n_series: int) -> Choice:
    """Choose a model by its validation RMSE, or for several series, whose scales differ, by its MASE.

    Without a validation part the training RMSE decides. Where no model has a finite score, the first one is taken.
    """
    first = next(iter(models.values()))
    metric = "val_mase" if n_series > 1 and "val_mase" in first else selection_metric(first)
    model = choose_model(models, metric)
    baseline = min(baselines, key=lambda name: _finite_score(baselines[name], metric))
    lowest = min(_finite_score(scores, metric) for scores in models.values())
    of_baseline = _finite_score(baselines[baseline], metric)
    is_known = np.isfinite(min(lowest, of_baseline))
    return Choice(model, metric if is_known else None, baseline if of_baseline < lowest else None)


def _finite_score(scores: Scores, metric: str) -> float:
    score = scores.get(metric, np.nan)
    return score if np.isfinite(score) else np.inf


def selection_metric(scores: Scores) -> str:
    """Return the metric by which a model is chosen: the RMSE of the validation part, else that of the training part."""
    return "val_rmse" if "val_rmse" in scores else "train_rmse"


def comparison_metric(scores: Scores) -> str:
    """Return the metric by which a model is compared with the baselines: the RMSE of the latest part."""
    return "test_rmse" if "test_rmse" in scores else selection_metric(scores)


def beaten_baselines(scores: Scores, baselines: Mapping[str, Scores]) -> list[str]:
    """Return the baselines that a model beats, by RMSE on the latest part.

    Without a season the seasonal naive is the last value again, and counts once.
    """
    metric, different = comparison_metric(scores), dict(baselines)
    if "seasonal_naive" in different and different["seasonal_naive"] == different.get("last_value"):
        del different["seasonal_naive"]
    return [name for name, baseline in different.items() if scores[metric] < baseline.get(metric, -np.inf)]


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

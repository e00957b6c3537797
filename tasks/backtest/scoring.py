"""Score a backtest: every model and baseline over all forecasts, by series, and by step ahead."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from prefect import task
from prefect.cache_policies import NO_CACHE

from models.baselines import BASELINES
from models.metrics import ScoreTable, score_table
from tasks.backtest.forecasting import RollingForecasts
from tasks.backtest.planning import BacktestPlan
from tasks.comparison import choose_model, skill_metrics

SKILL_METRICS = ("val_rmse", "test_rmse", "test_mase")


@dataclass(frozen=True)
class BacktestScores:
    """The scores of `models` and `baselines` by name and metric, such as `val_rmse`, and tables for the test part.

    `chosen` is the model with the lowest score by the metric `chosen_by`; None if the first model was taken.
    """

    models: dict[str, dict[str, float]]
    baselines: dict[str, dict[str, float]]
    by_series: pd.DataFrame
    by_step: pd.DataFrame
    chosen: str
    chosen_by: str | None

    @property
    def all(self) -> dict[str, dict[str, float]]:
        """The scores of the models, and then of the baselines."""
        return self.models | self.baselines

    @property
    def skills(self) -> dict[str, float]:
        """The chosen model's skill over each baseline, by RMSE and by MASE."""
        return skill_metrics(self.models[self.chosen], self.baselines, SKILL_METRICS)


@task(task_run_name="score_backtest", cache_policy=NO_CACHE)
def score_backtest(plan: BacktestPlan, rolling: dict[str, RollingForecasts], level: int) -> BacktestScores:
    """Score all forecasts in the units of the series, and choose a model.

    The metric is the validation RMSE, or for several series, whose scales differ, the validation MASE. Where no model
    has a finite score, the first one is chosen.
    """
    intervals = {name: forecasts.interval for name, forecasts in rolling.items() if forecasts.interval is not None}
    tables: dict[str, ScoreTable] = {}
    mase_scales = plan.mase_scales()  # [N]
    for part in plan.origins:
        rows = _origins_with_whole_horizon(plan, part)
        tables[part] = score_table(
            plan.actual[part][rows],
            {name: forecasts.forecasts[part][rows] for name, forecasts in rolling.items()},
            plan.series(part)[rows],
            mase_scales,
            intervals if part == "test" else {},
            level,
        )
    scores = {
        name: {f"{part}_{measure}": score for part in tables for measure, score in tables[part].overall[name].items()}
        for name in rolling
    }
    models = {name: metrics for name, metrics in scores.items() if name not in BASELINES}
    baselines = {name: scores[name] for name in BASELINES}
    metric = "val_mase" if len(plan.data.panel.ids) > 1 else "val_rmse"
    chosen = choose_model(models, metric)
    chosen_by = metric if np.isfinite(models[chosen].get(metric, np.nan)) else None
    ids = np.array(plan.data.panel.ids, dtype=object)
    by_series = tables["test"].by_series
    by_series.insert(0, "unique_id", ids[by_series.pop("series")])
    return BacktestScores(models, baselines, by_series, tables["test"].by_step, chosen, chosen_by)


def _origins_with_whole_horizon(plan: BacktestPlan, part: str) -> np.ndarray:
    """Return the indices of the origins whose steps all lie in the part; of all origins if there is none."""
    ends = {"val": plan.data.split.validation, "test": plan.data.split.test}[part]
    is_whole = plan.origins[part] + plan.horizon <= ends[plan.series(part)]
    return np.flatnonzero(is_whole) if is_whole.any() else np.arange(len(is_whole))

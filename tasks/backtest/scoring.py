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
from tasks.comparison import Choice, choose, skill_metrics

SKILL_METRICS = ("val_rmse", "test_rmse", "test_mase")


@dataclass(frozen=True)
class BacktestScores:
    """The scores of `models` and `baselines` by name and metric, such as `val_rmse`, and tables for the test part.

    `choice` says which model is best on the validation part, and which baseline is better than all of them, if any.
    """

    models: dict[str, dict[str, float]]
    baselines: dict[str, dict[str, float]]
    by_series: pd.DataFrame
    by_step: pd.DataFrame
    choice: Choice

    @property
    def chosen(self) -> str:
        """What to use: the best model, or the baseline that is better than all models on the validation part."""
        return self.choice.better or self.choice.model

    @property
    def chosen_by(self) -> str | None:
        """The metric by which it was chosen; None if the first model was taken."""
        return self.choice.metric

    @property
    def all(self) -> dict[str, dict[str, float]]:
        """The scores of the models, and then of the baselines."""
        return self.models | self.baselines

    @property
    def skills(self) -> dict[str, float]:
        """The best model's skill over each baseline, by RMSE and by MASE."""
        return skill_metrics(self.models[self.choice.model], self.baselines, SKILL_METRICS)


@task(task_run_name="score_backtest", cache_policy=NO_CACHE)
def score_backtest(plan: BacktestPlan, rolling: dict[str, RollingForecasts], level: int) -> BacktestScores:
    """Score all forecasts in the units of the series, and choose a model."""
    intervals = {name: forecasts.interval for name, forecasts in rolling.items() if forecasts.interval is not None}
    tables: dict[str, ScoreTable] = {}
    for part in plan.origins:
        rows = plan.whole(part)
        tables[part] = score_table(
            plan.actual[part][rows],
            {name: forecasts.forecasts[part][rows] for name, forecasts in rolling.items()},
            plan.series(part)[rows],
            plan.mase_scales,
            intervals if part == "test" else {},
            level,
        )
    scores = {
        name: {f"{part}_{measure}": score for part in tables for measure, score in tables[part].overall[name].items()}
        for name in rolling
    }
    models = {name: metrics for name, metrics in scores.items() if name not in BASELINES}
    baselines = {name: scores[name] for name in BASELINES}
    choice = choose(models, baselines, len(plan.data.panel.ids))
    ids = np.array(plan.data.panel.ids, dtype=object)
    by_series = tables["test"].by_series
    by_series.insert(0, "unique_id", ids[by_series.pop("series")])
    return BacktestScores(models, baselines, by_series, tables["test"].by_step, choice)

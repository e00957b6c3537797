"""Draw the figures of a backtest; how each looks is defined in `tasks/plots`."""

import numpy as np
from matplotlib.figure import Figure
from prefect import task
from prefect.cache_policies import NO_CACHE

from models.baselines import NAIVE
from models.display import format_number
from tasks import plots
from tasks.backtest.forecasting import RollingForecasts
from tasks.backtest.planning import BacktestPlan
from tasks.backtest.scoring import BacktestScores
from tasks.forecasting import format_time
from tasks.plots import Excerpt
from tasks.plots.style import SHORTEST_CONTEXT

CONTEXT_HORIZONS = 2
"""Length of the past that is drawn before a forecast, in horizons of it."""
MOST_EXCERPTS = 6


@task(task_run_name="plot_backtest", cache_policy=NO_CACHE)
def plot_backtest(
    plan: BacktestPlan, rolling: dict[str, RollingForecasts], scores: BacktestScores, level: int
) -> dict[str, Figure]:
    """Draw the error by step ahead, some forecasts of the chosen model, and, of several series, its largest errors."""
    name, unit, ids = scores.chosen, plan.data.series.unit, plan.data.panel.ids
    measure = "mase" if len(ids) > 1 else "rmse"
    by_step = {str(model): rows[measure].to_numpy() for model, rows in scores.by_step.groupby("model", sort=False)}
    title = f"{plan.data.series.name}, {plan.horizon} step{'s' * (plan.horizon > 1)} ahead"
    in_unit = unit if measure == "rmse" else ""
    spaced = [excerpt(plan, rolling, name, int(row)) for row in evenly_spaced_origins(plan)]
    figures = {
        "error_by_step": plots.error_by_step(title, by_step, list(scores.models), in_unit, measure.upper()),
        "forecasts": plots.excerpts(f"{title}: forecasts of {name}", spaced, name, unit, level / 100),
    }
    if len(ids) > 1 and (worst := worst_series(scores)):
        series = plan.series("test")
        excerpts = [
            excerpt(plan, rolling, name, int(np.argmax(series == ids.index(id_))), f"{id_}: MASE {format_number(mase)}")
            for id_, mase in worst.items()
        ]
        title = f"{title}: the series with the largest errors of {name}"
        figures["worst_series"] = plots.excerpts(title, excerpts, name, unit, level / 100)
    return figures


def worst_series(scores: BacktestScores) -> dict[str, float]:
    """Return the MASE of the chosen model for the series where it is highest, the highest first."""
    by_series = scores.by_series[scores.by_series["model"] == scores.chosen].dropna(subset="mase")
    worst = by_series.nlargest(MOST_EXCERPTS, "mase")
    return dict(zip(worst["unique_id"].tolist(), worst["mase"].tolist(), strict=True))


def evenly_spaced_origins(plan: BacktestPlan) -> np.ndarray:
    """Return the indices of a few test origins, evenly spaced."""
    count = len(plan.origins["test"])
    return np.unique(np.linspace(0, count - 1, min(MOST_EXCERPTS, count)).round().astype(int))


def excerpt(
    plan: BacktestPlan, rolling: dict[str, RollingForecasts], name: str, row: int, label: str | None = None
) -> Excerpt:
    """Return what one panel shows: a model's forecast from a test origin, the seasonal naive's, and the past."""
    panel, origin, n = plan.data.panel, int(plan.origins["test"][row]), int(plan.series("test")[row])
    start = int(panel.starts[n])
    begin = max(start, origin - max(CONTEXT_HORIZONS * plan.horizon, SHORTEST_CONTEXT))
    times = panel.times(n, begin - start, origin - begin + plan.horizon)
    past = slice(begin, origin)
    interval = rolling[name].interval
    low, high = (bound[row] for bound in interval) if interval else (None, None)
    cutoff = format_time(times[origin - begin - 1])
    return Excerpt(
        label or (f"{panel.ids[n]}, from {cutoff}" if len(panel.ids) > 1 else f"from {cutoff}"),
        times[: origin - begin],
        np.where(panel.observed[past], panel.values[past], np.nan),
        times[origin - begin :],
        plan.actual["test"][row],
        rolling[name].forecasts["test"][row],
        low,
        high,
        {NAIVE[1]: rolling[NAIVE[1]].forecasts["test"][row]},
    )

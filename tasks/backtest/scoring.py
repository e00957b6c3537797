"""Score a backtest: every model and baseline over all, by series, and by step ahead."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from prefect import task
from prefect.cache_policies import NO_CACHE

from models.baselines import BASELINES, NAIVE
from models.metrics import ScoreTable, score_table, skill
from tasks import plots
from tasks.backtest.forecasting import RollingForecasts
from tasks.backtest.planning import BacktestPlan
from tasks.forecasting import format_time
from tasks.plots import Excerpt
from tasks.report import format_number

SHOWN = 2
"""Times its own length that a forecast's past is drawn."""
PANELS = 6
READ = {
    "test_rmse": "RMSE",
    "test_smape": "sMAPE",
    "test_mase": "MASE",
}
"""The scores that a person reads, beside the one by which the model is chosen."""


@dataclass(frozen=True)
class BacktestScores:
    """`models` and `baselines`, scores by name and measure as `val_rmse` and `test_rmse`; the test part's tables."""

    models: dict[str, dict[str, float]]
    baselines: dict[str, dict[str, float]]
    by_series: pd.DataFrame
    by_step: pd.DataFrame
    chosen: str
    chosen_by: str | None


@task(task_run_name="score_backtest", cache_policy=NO_CACHE)
def score_backtest(plan: BacktestPlan, rolled: dict[str, RollingForecasts], level: int) -> BacktestScores:
    """Scores in the series' own units; a model's skill is over each baseline, by RMSE and, of many series, by MASE.

    The model is chosen by its validation RMSE, or where several series have scales of their own, by MASE. Without such
    a score nothing can choose, and the first model is taken.
    """
    intervals = {name: run.interval for name, run in rolled.items() if run.interval is not None}
    tables: dict[str, ScoreTable] = {}
    for part in plan.origins:
        kept = _complete(plan, part)
        tables[part] = score_table(
            plan.actual[part][kept],
            {name: run.forecasts[part][kept] for name, run in rolled.items()},
            plan.series(part)[kept],
            plan.scale(),
            intervals if part == "test" else {},
            level,
        )
    found = {
        name: {f"{part}_{measure}": score for part in tables for measure, score in tables[part].overall[name].items()}
        for name in rolled
    }
    models = {name: scores for name, scores in found.items() if name not in BASELINES}
    baselines = {name: found[name] for name in BASELINES}
    by = "val_mase" if len(plan.data.panel.ids) > 1 else "val_rmse"
    judged = {name: own[by] for name, own in models.items() if np.isfinite(own.get(by, np.nan))}
    chosen = min(judged, key=lambda name: judged[name]) if judged else next(iter(models))
    ids = np.array(plan.data.panel.ids, dtype=object)
    by_series = tables["test"].by_series
    by_series.insert(0, "unique_id", ids[by_series.pop("series")])
    return BacktestScores(models, baselines, by_series, tables["test"].by_step, chosen, by if judged else None)


def _complete(plan: BacktestPlan, part: str) -> np.ndarray:
    """The origins whose every step lies in the part, where there are any."""
    ends = {"val": plan.data.parts.validation, "test": plan.data.parts.test}[part]
    whole = plan.origins[part] + plan.horizon <= ends[plan.series(part)]
    return np.flatnonzero(whole) if whole.any() else np.arange(len(whole))


def skills(scores: BacktestScores) -> dict[str, float]:
    """The chosen model's skill over each baseline, by measure."""
    own = scores.models[scores.chosen]
    return {
        f"skill_{name}_{measure}": skill(own[measure], baseline[measure])
        for name, baseline in scores.baselines.items()
        for measure in ("val_rmse", "test_rmse", "test_mase")
        if baseline.get(measure, 0.0) > 0
    }


@task(task_run_name="plot_backtest", cache_policy=NO_CACHE)
def plot_backtest(
    plan: BacktestPlan, rolled: dict[str, RollingForecasts], scores: BacktestScores, level: int
) -> dict[str, Figure]:
    """Error by step ahead, a few forecasts of the chosen model spread over the test part, and its worst series."""
    name, unit, many = scores.chosen, plan.data.series.unit, len(plan.data.panel.ids) > 1
    measure = "mase" if many else "rmse"
    by_step = {str(model): rows[measure].to_numpy() for model, rows in scores.by_step.groupby("model", sort=False)}
    title = f"{plan.data.series.name}, {plan.horizon} step{'s' * (plan.horizon > 1)} ahead"
    figures = {
        "error_by_step": plots.error_by_step(
            title, by_step, list(scores.models), "" if many else unit, measure.upper()
        ),
        "forecasts": plots.excerpts(
            f"{title}: forecasts of {name}",
            [excerpt(plan, rolled, name, int(row)) for row in evenly_spaced_origins(plan)],
            name,
            unit,
            level / 100,
        ),
    }
    if worst := worst_series(scores) if many else {}:
        rows = np.array([np.flatnonzero(plan.series("test") == plan.data.panel.ids.index(id_))[0] for id_ in worst])
        labels = [f"{id_}: MASE {format_number(mase)}" for id_, mase in worst.items()]
        figures["worst_series"] = plots.excerpts(
            f"{title}: the series that {name} does worst",
            [excerpt(plan, rolled, name, int(row), label) for row, label in zip(rows, labels, strict=True)],
            name,
            unit,
            level / 100,
        )
    return figures


def worst_series(scores: BacktestScores) -> dict[str, float]:
    """The series with the highest MASE of the chosen model, the worst first."""
    own = scores.by_series[scores.by_series["model"] == scores.chosen].dropna(subset="mase")
    worst = own.nlargest(PANELS, "mase")
    return dict(zip(worst["unique_id"].tolist(), worst["mase"].tolist(), strict=True))


def evenly_spaced_origins(plan: BacktestPlan) -> np.ndarray:
    """A few of the test origins, evenly spread."""
    count = len(plan.origins["test"])
    return np.unique(np.linspace(0, count - 1, min(PANELS, count)).round().astype(int))


def excerpt(
    plan: BacktestPlan, rolled: dict[str, RollingForecasts], name: str, row: int, label: str | None = None
) -> Excerpt:
    """One forecast of a model beside the seasonal naive's, with some of the past."""
    panel, origin, n = plan.data.panel, int(plan.origins["test"][row]), int(plan.series("test")[row])
    start = int(panel.starts[n])
    begin = max(start, origin - max(SHOWN * plan.horizon, 20))
    times = panel.times(n, begin - start, origin - begin + plan.horizon)
    past = slice(begin, origin)
    run = rolled[name]
    low, high = (bound[row] for bound in run.interval) if run.interval else (None, None)
    cutoff = format_time(times[origin - begin - 1])
    return Excerpt(
        label or (f"{panel.ids[n]}, from {cutoff}" if len(panel.ids) > 1 else f"from {cutoff}"),
        times[: origin - begin],
        np.where(panel.observed[past], panel.values[past], np.nan),
        times[origin - begin :],
        plan.actual["test"][row],
        run.forecasts["test"][row],
        low,
        high,
        {NAIVE[1]: rolled[NAIVE[1]].forecasts["test"][row]},
    )


def table_rows(table: dict[str, dict[str, float]], chosen: str, chosen_by: str | None) -> list[dict[str, str]]:
    """Models and baselines with the scores that a person reads, a row each; a star marks the chosen."""
    measures = {measure for own in table.values() for measure in own}
    shown = {chosen_by: f"val {READ[chosen_by.replace('val', 'test')]}"} if chosen_by else {}
    shown |= {measure: said for measure, said in READ.items() if measure in measures}
    for kind, said in (("coverage", "cover"), ("width", "width")):
        found = [measure for measure in measures if measure.startswith(f"test_{kind}_")]
        shown |= {measure: f"{said} {measure.rsplit('_', 1)[1]} %" for measure in sorted(found)}
    return [
        {"model": f"{name} *" if name == chosen else name}
        | {said: _cell(measure, own.get(measure, np.nan)) for measure, said in shown.items()}
        for name, own in table.items()
    ]


def _cell(measure: str, score: float) -> str:
    share = measure.startswith("test_coverage") and np.isfinite(score)
    return f"{100 * score:.1f} %" if share else format_number(score)

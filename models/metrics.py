"""Scores, in the series' own units where nothing else is said, of a point, a series, a step ahead and all together.

A point whose actual value is NaN, because it was missing or is not known yet, is left out everywhere, and where no
point is left a score is NaN. A forecast that is NaN where the actual value is known makes its score NaN.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.data.panel import Panel

Interval = tuple[np.ndarray, np.ndarray]
"""Lower and upper bounds, [M, S] each."""
MEASURES = ("rmse", "mae", "smape", "mase")
KINDS = ("coverage", "width", "quantile_loss")


def rmse(actual: np.ndarray, predicted: np.ndarray) -> float:
    """Root mean squared error over all entries of two arrays of one shape."""
    return float(np.sqrt(_mean((actual - predicted) ** 2, ~np.isnan(actual))))


def mae(actual: np.ndarray, predicted: np.ndarray) -> float:
    """Mean absolute error over all entries of two arrays of one shape."""
    return _mean(np.abs(actual - predicted), ~np.isnan(actual))


def smape(actual: np.ndarray, predicted: np.ndarray) -> float:
    """Symmetric mean absolute percentage error in percent, 0 to 200, as the M4 competition computes it."""
    return _mean(_percents(actual, predicted), ~np.isnan(actual))


def mase(actual: np.ndarray, predicted: np.ndarray, scale: np.ndarray | float) -> float:
    """Mean absolute scaled error (Hyndman and Koehler 2006): 1 is as good as the naive forecast was on the past.

    `scale`, of `naive_scale`, is broadcast to the points; where it is NaN or 0, they are left out.
    """
    scales = np.broadcast_to(scale, actual.shape)
    kept = ~np.isnan(actual) & (scales > 0)
    return _mean(np.abs(actual - predicted)[kept] / scales[kept])


def quantile_loss(actual: np.ndarray, predicted: np.ndarray, level: float) -> float:
    """Mean pinball loss (Koenker and Bassett 1978) of forecasts of the quantile `level`, 0 to 1.

    It is not doubled, as some libraries have it: at 0.5 it is half the mean absolute error.
    """
    return _mean(_pinballs(actual, predicted, level), ~np.isnan(actual))


def coverage(actual: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """Share, 0 to 1, of the values from `low` to `high`, the bounds themselves counted; points without are left out."""
    return _mean((low <= actual) & (actual <= high), ~np.isnan(actual) & ~np.isnan(low) & ~np.isnan(high))


def width(low: np.ndarray, high: np.ndarray) -> float:
    """Mean distance of the bounds; points without are left out."""
    return _mean(high - low, ~np.isnan(low) & ~np.isnan(high))


def skill(score: float, baseline: float) -> float:
    """Share of a baseline's error, above 0, that a model takes away: 1 is perfect, 0 no better, negative worse."""
    return 1 - score / baseline


def naive_scale(panel: Panel, ends: np.ndarray, season: int) -> np.ndarray:
    """What MASE divides by, [N]: how far points a season apart differ on average, of each series up to `ends` [N].

    Pairs with a value that was missing are left out. A series that is not longer than a season takes its neighbours;
    one without a pair, or whose pairs are all equal, has no scale, NaN.
    """
    scales = [
        _usual_change(panel.values[start:end], panel.observed[start:end], season if end - start > season else 1)
        for start, end in zip(panel.starts, ends, strict=True)
    ]
    return np.array(scales)


def _usual_change(values: np.ndarray, observed: np.ndarray, lag: int) -> float:
    changes = values[lag:] - values[:-lag]
    changes = np.abs(changes, out=changes)[observed[lag:] & observed[:-lag]]
    return float(changes.mean()) if changes.any() else np.nan


@dataclass(frozen=True)
class ScoreTable:
    """Scores of several models: `overall[model][measure]`, and two tables with a column a measure.

    `by_series` has a row a (series, model), `by_step` a row a (step, model); step 1 is the first ahead. A measure of
    intervals is NaN for a model without, and no key in its `overall`.
    """

    overall: dict[str, dict[str, float]]
    by_series: pd.DataFrame
    by_step: pd.DataFrame


def interval_measures(level: int) -> tuple[str, ...]:
    """The names of the measures of intervals with a level in percent, such as `coverage_90`."""
    return tuple(f"{kind}_{level}" for kind in KINDS)


def score_table(
    actual: np.ndarray,
    forecasts: Mapping[str, np.ndarray],
    series: np.ndarray,
    scale: np.ndarray,
    intervals: Mapping[str, Interval],
    level: int,
) -> ScoreTable:
    """Every measure of every model, over all points, by series and by step ahead.

    Means over several series are taken in two ways: `rmse`, `mae` and the measures of intervals pool all points;
    `smape` and `mase` are the mean over the series of each series' own mean, as in the M4 competition.
    `quantile_loss` is the mean of three pinball losses: of the two bounds at their levels, and of the forecast as the
    median. Points without bounds count for no measure of intervals.

    **Arguments:** `actual` [M, S], NaN where not known; `forecasts`, [M, S] of each model; `series` [M], the number of
    each origin's series, in any order; `scale` [N] of `naive_scale`, where a series without one is left out of `mase`;
    `intervals` of some of the models; `level` of the intervals in percent.
    """
    order = np.argsort(series, kind="stable")
    numbers, begins = np.unique(series[order], return_index=True)  # [G], the series with an origin
    scales = scale[numbers][:, None]  # [G, 1]
    overall, by_series, by_step = {}, {}, {}
    for name, forecast in forecasts.items():
        losses = _losses(actual, forecast, intervals.get(name), level)
        cells = {key: np.add.reduceat(loss[order], begins, dtype=float) for key, loss in losses.items()}  # [G, S]
        rows = {key: cell.sum(axis=1, keepdims=True) for key, cell in cells.items()}  # [G, 1]
        overall[name] = {key: float(score[0]) for key, score in _measures(rows, scales, level).items()}
        by_series[name] = _measures({key: row.T for key, row in rows.items()}, scales.T, level)  # of [1, G]
        by_step[name] = _measures(cells, scales, level)
    steps = np.arange(1, actual.shape[1] + 1)
    return ScoreTable(overall, _frame("series", numbers, by_series), _frame("step", steps, by_step))


def _mean(losses: np.ndarray, kept: np.ndarray | None = None) -> float:
    losses = losses if kept is None else losses[kept]
    return float(losses.mean()) if losses.size else np.nan


def _ratio(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Means from sums and counts of one shape, NaN where nothing was counted."""
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)


def _percents(actual: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """The error of each point in percent of the mean size of value and forecast, 0 where both are 0."""
    sizes = np.abs(actual) + np.abs(predicted)
    return np.divide(200 * np.abs(actual - predicted), sizes, out=np.zeros(sizes.shape), where=sizes != 0)


def _pinballs(actual: np.ndarray, predicted: np.ndarray, level: float) -> np.ndarray:
    errors = actual - predicted
    return np.maximum(level * errors, (level - 1) * errors)


def _losses(actual: np.ndarray, forecast: np.ndarray, interval: Interval | None, level: int) -> dict[str, np.ndarray]:
    """What is summed up for the measures, [M, S] each: 0 where a point does not count, 1 in `points` where it does."""
    known = ~np.isnan(actual)
    errors = np.abs(actual - forecast)
    losses = {"points": known, "squares": errors**2, "errors": errors, "percents": _percents(actual, forecast)}
    losses = {key: np.where(known, loss, 0.0) for key, loss in losses.items()}
    if interval is None:
        return losses
    low, high = interval
    bounded = known & ~np.isnan(low) & ~np.isnan(high)
    tail = (100 - level) / 200
    pinballs = [_pinballs(actual, bound, at) for bound, at in ((low, tail), (forecast, 0.5), (high, 1 - tail))]
    within = {
        "bounded": bounded,
        "inside": (low <= actual) & (actual <= high),
        "width": high - low,
        "pinballs": np.mean(pinballs, axis=0),
    }
    return losses | {key: np.where(bounded, loss, 0.0) for key, loss in within.items()}


def _measures(sums: dict[str, np.ndarray], scale: np.ndarray, level: int) -> dict[str, np.ndarray]:
    """Every measure [B] from sums [A, B] over the points of A series in B columns; `scale` is [A, 1] or [A, B]."""
    points = sums["points"]
    pooled = {key: part.sum(axis=0) for key, part in sums.items()}  # [B]
    scaled = _ratio(sums["errors"], points * np.where(scale > 0, scale, 0))  # [A, B]
    means = (_ratio(sums["percents"], points), points > 0), (scaled, (points > 0) & (scale > 0))
    scores = (
        np.sqrt(_ratio(pooled["squares"], pooled["points"])),
        _ratio(pooled["errors"], pooled["points"]),
        *(_ratio(np.where(kept, mean, 0.0).sum(axis=0), kept.sum(axis=0)) for mean, kept in means),
    )
    measures = dict(zip(MEASURES, scores, strict=True))
    if "bounded" in pooled:
        parts = (_ratio(pooled[key], pooled["bounded"]) for key in ("inside", "width", "pinballs"))
        measures |= dict(zip(interval_measures(level), parts, strict=True))
    return measures


def _frame(key: str, numbers: np.ndarray, scores: dict[str, dict[str, np.ndarray]]) -> pd.DataFrame:
    """A row a (number, model), the models of one number in their order, and a column a measure."""
    parts = [pd.DataFrame({key: numbers, "model": name, **measures}) for name, measures in scores.items()]
    return pd.concat(parts).sort_values(key, kind="stable", ignore_index=True)

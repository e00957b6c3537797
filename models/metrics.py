"""Scores of forecasts: over all points, by series, and by step ahead, in the units of the series unless said otherwise.

A point whose actual value is NaN, because it is missing or not known yet, is left out everywhere; a score without any
point is NaN. A forecast that is NaN where the actual value is known makes its score NaN.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.data.panel import Panel

Interval = tuple[np.ndarray, np.ndarray]
"""Lower and upper bounds, [M, S] each."""
MEASURES = ("rmse", "mae", "smape", "mase")
INTERVAL_MEASURES = ("coverage", "width", "quantile_loss")


def rmse(actual: np.ndarray, forecast: np.ndarray) -> float:
    """Return the root mean squared error over all entries of two arrays of one shape."""
    return float(np.sqrt(_mean((actual - forecast) ** 2, ~np.isnan(actual))))


def coverage(actual: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """Return the share, 0 to 1, of values from `low` to `high`, bounds included; points without bounds are left out."""
    return _mean((low <= actual) & (actual <= high), ~np.isnan(actual) & ~np.isnan(low) & ~np.isnan(high))


def width(low: np.ndarray, high: np.ndarray) -> float:
    """Return the mean distance of the bounds; points without bounds are left out."""
    return _mean(high - low, ~np.isnan(low) & ~np.isnan(high))


def skill(score: float, baseline: float) -> float:
    """Return the share of a baseline's error, above 0, that a model avoids: 1 is perfect, below 0 worse than it."""
    return 1 - score / baseline


def naive_scale(panel: Panel, ends: np.ndarray, season: int) -> np.ndarray:
    """Return the scale that MASE divides by, [N]: the mean absolute difference of points one season apart.

    It is measured on each series up to `ends` [N], without pairs in which a value was missing. A series that is not
    longer than a season takes neighbouring points; a series without a pair, or whose pairs are all equal, has no scale,
    NaN.
    """
    scales = [
        _mean_absolute_change(panel.values[start:end], panel.observed[start:end], season if end - start > season else 1)
        for start, end in zip(panel.starts, ends, strict=True)
    ]
    return np.array(scales)


def _mean_absolute_change(values: np.ndarray, observed: np.ndarray, lag: int) -> float:
    changes = values[lag:] - values[:-lag]
    changes = np.abs(changes, out=changes)[observed[lag:] & observed[:-lag]]
    return float(changes.mean()) if changes.any() else np.nan


@dataclass(frozen=True)
class ScoreTable:
    """Scores of several models: `overall[model][measure]`, and two tables with a column for each measure.

    `by_series` has a row for each series and model, `by_step` for each step ahead, from 1, and model. For a model
    without intervals, the measures of intervals are NaN in the tables and not in `overall`.
    """

    overall: dict[str, dict[str, float]]
    by_series: pd.DataFrame
    by_step: pd.DataFrame


def interval_measures(level: int) -> tuple[str, ...]:
    """Return the names of the measures of intervals with a level in percent, such as `coverage_90`."""
    return tuple(f"{measure}_{level}" for measure in INTERVAL_MEASURES)


def score_table(
    actual: np.ndarray,
    forecasts: Mapping[str, np.ndarray],
    series: np.ndarray,
    scale: np.ndarray,
    intervals: Mapping[str, Interval],
    level: int,
) -> ScoreTable:
    """Compute every measure of every model, over all points, by series and by step ahead.

    `rmse`, `mae` and the measures of intervals pool the points of all series; `smape` and `mase` are computed for each
    series and averaged over the series, as in the M4 competition. `smape` is in percent, 0 to 200. `mase` (Hyndman and
    Koehler 2006) is 1 for a forecast as good as the naive one was on the past. `quantile_loss` is the mean of three
    pinball losses (Koenker and Bassett 1978, not doubled): of the two bounds at their levels, and of the forecast as
    the median. Points without bounds count for no measure of intervals.

    **Arguments:** `actual` [M, S], NaN if not known; `forecasts`, [M, S] of each model; `series` [M], the number of
    each origin's series, in any order; `scale` [N] from `naive_scale`, where a series without one is left out of
    `mase`; `intervals` of some of the models; `level` of the intervals in percent.
    """
    order = np.argsort(series, kind="stable")  # [M], series by series
    numbers, begins = np.unique(series[order], return_index=True)  # [n] each, the series that have an origin
    scales = scale[numbers][:, None]  # [n, 1]
    overall, by_series, by_step = {}, {}, {}
    for name, forecast in forecasts.items():
        losses = _losses(actual, forecast, intervals.get(name), level)  # [M, S] each
        sums = {key: np.add.reduceat(loss[order], begins, dtype=float) for key, loss in losses.items()}  # [n, S] each
        series_sums = {key: part.sum(axis=1, keepdims=True) for key, part in sums.items()}  # [n, 1] each
        overall[name] = {key: float(score[0]) for key, score in _measures(series_sums, scales, level).items()}
        by_series[name] = _measures({key: part.T for key, part in series_sums.items()}, scales.T, level)  # [n] each
        by_step[name] = _measures(sums, scales, level)  # [S] each
    steps = np.arange(1, actual.shape[1] + 1)
    return ScoreTable(overall, _table("series", numbers, by_series), _table("step", steps, by_step))


def _mean(losses: np.ndarray, is_counted: np.ndarray) -> float:
    losses = losses[is_counted]  # [points that count]
    return float(losses.mean()) if losses.size else np.nan


def _ratio(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return means from sums and counts of one shape, NaN where nothing was counted."""
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)


def _percentage_errors(actual: np.ndarray, forecast: np.ndarray) -> np.ndarray:
    """Return the error of each point in percent of the mean size of value and forecast, 0 where both are 0."""
    sizes = np.abs(actual) + np.abs(forecast)
    return np.divide(200 * np.abs(actual - forecast), sizes, out=np.zeros(sizes.shape), where=sizes != 0)


def _pinball_losses(actual: np.ndarray, forecast: np.ndarray, quantile: float) -> np.ndarray:
    errors = actual - forecast
    return np.maximum(quantile * errors, (quantile - 1) * errors)


def _losses(actual: np.ndarray, forecast: np.ndarray, interval: Interval | None, level: int) -> dict[str, np.ndarray]:
    """Return the terms that measures sum, [M, S] each: 0 where a point does not count; `points` is 1 where it does."""
    is_known = ~np.isnan(actual)
    errors = np.abs(actual - forecast)
    losses = {
        "points": is_known,
        "squares": errors**2,
        "errors": errors,
        "percents": _percentage_errors(actual, forecast),
    }
    losses = {key: np.where(is_known, loss, 0.0) for key, loss in losses.items()}
    if interval is None:
        return losses
    low, high = interval
    bounded = is_known & ~np.isnan(low) & ~np.isnan(high)
    tail = (100 - level) / 200
    quantiles = ((low, tail), (forecast, 0.5), (high, 1 - tail))
    pinballs = [_pinball_losses(actual, bound, quantile) for bound, quantile in quantiles]
    interval_losses = {
        "bounded": bounded,
        "inside": (low <= actual) & (actual <= high),
        "width": high - low,
        "pinballs": np.mean(pinballs, axis=0),
    }
    return losses | {key: np.where(bounded, loss, 0.0) for key, loss in interval_losses.items()}


def _measures(sums: dict[str, np.ndarray], scale: np.ndarray, level: int) -> dict[str, np.ndarray]:
    """Return every measure [cells] from the sums over points, [series, cells] each; a cell is what gets one score.

    `scale` is [series, 1] or [series, cells].
    """
    points = sums["points"]
    pooled = {key: part.sum(axis=0) for key, part in sums.items()}  # [cells] each
    scaled = _ratio(sums["errors"], points * np.where(scale > 0, scale, 0))  # [series, cells]
    percents = _ratio(sums["percents"], points)  # [series, cells]
    averaged = (percents, points > 0), (scaled, (points > 0) & (scale > 0))  # scores of each series, and which count
    scores = (
        np.sqrt(_ratio(pooled["squares"], pooled["points"])),
        _ratio(pooled["errors"], pooled["points"]),
        *(_ratio(np.where(kept, score, 0.0).sum(axis=0), kept.sum(axis=0)) for score, kept in averaged),
    )
    measures = dict(zip(MEASURES, scores, strict=True))
    if "bounded" in pooled:
        parts = (_ratio(pooled[key], pooled["bounded"]) for key in ("inside", "width", "pinballs"))
        measures |= dict(zip(interval_measures(level), parts, strict=True))
    return measures


def _table(key: str, numbers: np.ndarray, scores: dict[str, dict[str, np.ndarray]]) -> pd.DataFrame:
    """Return a table with a row for each number and model, in this order, and a column for each measure."""
    parts = [pd.DataFrame({key: numbers, "model": name, **measures}) for name, measures in scores.items()]
    return pd.concat(parts).sort_values(key, kind="stable", ignore_index=True)

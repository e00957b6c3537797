"""The measures written out point by point: what `models.metrics.score_table` computes for many models at once."""

import numpy as np


def mae(actual: np.ndarray, forecast: np.ndarray) -> float:
    """Mean absolute error over all entries of two arrays of one shape."""
    return _mean(np.abs(actual - forecast), ~np.isnan(actual))


def smape(actual: np.ndarray, forecast: np.ndarray) -> float:
    """Symmetric mean absolute percentage error in percent, 0 to 200, as the M4 competition computes it."""
    sizes = np.abs(actual) + np.abs(forecast)
    errors = np.divide(200 * np.abs(actual - forecast), sizes, out=np.zeros(sizes.shape), where=sizes != 0)
    return _mean(errors, ~np.isnan(actual))


def mase(actual: np.ndarray, forecast: np.ndarray, scale: np.ndarray | float) -> float:
    """Mean absolute scaled error (Hyndman and Koehler 2006): 1 is as good as the naive forecast was on the past.

    `scale`, from `naive_scale`, is broadcast to the points; points where it is NaN or 0 are left out.
    """
    scales = np.broadcast_to(scale, actual.shape)
    kept = ~np.isnan(actual) & (scales > 0)
    return _mean(np.abs(actual - forecast)[kept] / scales[kept], np.ones(kept.sum(), bool))


def quantile_loss(actual: np.ndarray, forecast: np.ndarray, quantile: float) -> float:
    """Mean pinball loss (Koenker and Bassett 1978) of forecasts of a quantile, 0 to 1; at 0.5 half the MAE."""
    errors = actual - forecast
    return _mean(np.maximum(quantile * errors, (quantile - 1) * errors), ~np.isnan(actual))


def _mean(losses: np.ndarray, kept: np.ndarray) -> float:
    losses = losses[kept]
    return float(losses.mean()) if losses.size else np.nan

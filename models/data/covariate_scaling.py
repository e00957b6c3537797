"""Covariates as a network reads them: those of the calendar, and those of the user, scaled."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.data.calendar import calendar_covariates, calendar_names
from models.data.covariates import Covariates
from models.data.panel import Panel


class CovariateScaling(NamedTuple):
    """Mean and standard deviation of each covariate over the training parts, float32 [F] each."""

    mean: np.ndarray
    deviation: np.ndarray


NO_SCALING = CovariateScaling(np.empty(0, np.float32), np.empty(0, np.float32))
"""The scaling of a panel without covariates."""


def fit_covariate_scaling(panel: Panel, train_ends: np.ndarray) -> CovariateScaling:
    """Fit the scaling that gives each covariate mean 0 and deviation 1 over the training parts of all series."""
    if panel.covariates is None:
        return NO_SCALING
    parts = [panel.covariates.values[start:end] for start, end in zip(panel.starts, train_ends, strict=True)]
    rows = np.concatenate(parts)  # [points of the training parts, F]
    deviation = rows.std(axis=0)
    return CovariateScaling(rows.mean(axis=0), np.where(deviation > 0, deviation, 1).astype(np.float32))


def scaled_covariates(panel: Panel, moments: Sequence[str], scaling: CovariateScaling, steps: int) -> Covariates | None:
    """Return the calendar covariates and the scaled covariates of a panel, None if it has neither.

    They reach at least `steps` rows beyond the end of each series. Static covariates count as known ahead here.
    """
    covariates = panel.covariates
    if covariates is None and not moments:
        return None
    if covariates is None:
        covariates = Covariates((), np.empty((len(panel.values), 0), np.float32), 0, (NO_ROWS,) * len(panel.ids))
    inside, ahead = [], []
    for n, (start, end) in enumerate(zip(panel.starts.tolist(), panel.ends.tolist(), strict=True)):
        points, count = end - start, max(len(covariates.ahead[n]), steps)
        rows = covariates.rows(n, start, end, points, count)  # [count, F without the calendar's]
        calendar = _calendar(panel, n, points + count, moments)  # [points + count, F of the calendar]
        inside.append(calendar[:points])
        ahead.append(np.concatenate([calendar[points:], _scale(rows, scaling)], axis=1))  # [count, F]
    values = np.concatenate([np.concatenate(inside), _scale(covariates.values, scaling)], axis=1)  # [P, F]
    names = calendar_names(moments)
    return Covariates((*names, *covariates.names), values, len(names) + covariates.n_known, tuple(ahead))


NO_ROWS = np.empty((0, 0), np.float32)
"""The future rows of a series without covariates."""


def _calendar(panel: Panel, series: int, count: int, moments: Sequence[str]) -> np.ndarray:
    """Return the calendar covariates of a series' first `count` steps; times are made only if there are any."""
    if not moments:
        return np.empty((count, 0), np.float32)
    return calendar_covariates(panel.times(series, 0, count), moments)


def _scale(rows: np.ndarray, scaling: CovariateScaling) -> np.ndarray:
    return (rows - scaling.mean) / scaling.deviation

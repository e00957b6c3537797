"""The columns that a network reads beside the values: the calendar and the covariates, in its scale."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.data.calendar import calendar_covariates, calendar_names
from models.data.covariates import Covariates
from models.data.panel import Panel


class CovariateScaling(NamedTuple):
    """Mean and deviation of each covariate over the training parts, float32 [F] each."""

    mean: np.ndarray
    deviation: np.ndarray


NO_SCALING = CovariateScaling(np.empty(0, np.float32), np.empty(0, np.float32))


def fit_covariate_scaling(panel: Panel, train_ends: np.ndarray) -> CovariateScaling:
    """The scaling that brings each covariate to mean 0 and deviation 1 over all series' training parts."""
    if panel.covariates is None:
        return NO_SCALING
    parts = [panel.covariates.values[a:b] for a, b in zip(panel.starts, train_ends, strict=True)]
    rows = np.concatenate(parts)  # [P, F]
    deviation = rows.std(axis=0)
    return CovariateScaling(rows.mean(axis=0), np.where(deviation > 0, deviation, 1).astype(np.float32))


def scaled_covariates(panel: Panel, moments: Sequence[str], scaling: CovariateScaling, steps: int) -> Covariates | None:
    """The calendar of every point and the scaled covariates, also at least `steps` rows beyond each series' end."""
    own = panel.covariates
    if own is None and not moments:
        return None
    if own is None:
        own = Covariates((), np.empty((len(panel.values), 0), np.float32), 0, (NOTHING,) * len(panel.ids))
    values = np.concatenate([_calendar(panel.all_times(), moments), _scaled(own.values, scaling)], axis=1)  # [P, F]
    ahead = []
    for n, (start, end) in enumerate(zip(panel.starts.tolist(), panel.ends.tolist(), strict=True)):
        room = max(len(own.ahead[n]), steps)
        rows = own.rows(n, start, end, end - start, room)  # [room, F]
        ahead.append(np.concatenate([_calendar(panel.times(n, end - start, room), moments), _scaled(rows, scaling)], 1))
    names = calendar_names(moments)
    return Covariates((*names, *own.names), values, len(names) + own.n_known, tuple(ahead))


NOTHING = np.empty((0, 0), np.float32)


def _calendar(times: np.ndarray, moments: Sequence[str]) -> np.ndarray:
    return calendar_covariates(times, moments) if moments else np.empty((len(times), 0), np.float32)


def _scaled(rows: np.ndarray, scaling: CovariateScaling) -> np.ndarray:
    return (rows - scaling.mean) / scaling.deviation

"""Facts about the training part of a panel, from which the rules choose settings (`models/rules.py`)."""

from typing import NamedTuple

import numpy as np

from models.data.panel import Panel
from models.data.steps import Step

FEWEST_SEASONS = 3
"""Fewest seasons from which the strength of a season is measured."""
FEWEST_BLOCKS = 4
"""Fewest blocks of a series, a season each, from which it is told whether the spread grows with the level."""
SHORTEST_BLOCK = 4


class Facts(NamedTuple):
    """What is known about a panel before a model is trained. Shares are from 0 to 1.

    `length` is the median number of points of the training parts, `shortest` the fewest, and `points` their total.
    `seasonality` is the share of the variance about the trend that repeats from season to season, and `growing_spread`
    tells whether the spread within a season grows with the level; both are those of the typical (median) series.
    `positive` tells whether all values are, those of later parts too: logarithms need it everywhere.
    """

    step: Step
    season: int
    horizon: int
    n_series: int
    length: int
    shortest: int
    points: int
    positive: bool
    growing_spread: bool
    seasonality: float
    zeros: float
    gaps: float


def measure_facts(panel: Panel, train_ends: np.ndarray, season: int, horizon: int) -> Facts:
    """Measure the facts on the training part of each series, which ends at `train_ends` [N]."""
    parts = [slice(begin, end) for begin, end in zip(panel.starts, train_ends, strict=True)]
    lengths = train_ends - panel.starts  # [N]
    observed = np.concatenate([panel.observed[part] for part in parts])
    values = np.concatenate([panel.values[part] for part in parts])[observed]
    return Facts(
        step=panel.step,
        season=season,
        horizon=horizon,
        n_series=len(parts),
        length=int(np.median(lengths)),
        shortest=int(lengths.min()),
        points=int(lengths.clip(min=0).sum()),
        positive=bool((panel.values > 0).all()),
        growing_spread=bool(np.median([spread_grows(panel.values[part], season) for part in parts]) > 1 / 2),
        seasonality=float(np.median([seasonality(panel.values[part], season) for part in parts])),
        zeros=float((values == 0).mean()) if len(values) else 0.0,
        gaps=float(1 - observed.mean()) if len(observed) else 0.0,
    )


def seasonality(values: np.ndarray, season: int) -> float:
    """Return the share of the variance of `values` about their trend that repeats from season to season, 0 to 1.

    The trend is the moving mean over a season. The result is 0 without a season, or with fewer than three of them.
    """
    if season < 2 or len(values) < FEWEST_SEASONS * season:
        return 0.0
    trend = np.convolve(values, np.full(season, 1 / season), "valid")
    begin = season // 2
    detrended = values[begin : begin + len(trend)] - trend
    position = np.arange(len(detrended)) % season
    profile = np.bincount(position, detrended) / np.bincount(position)  # [season]
    total = detrended.var()
    return float(max(0.0, 1 - (detrended - profile[position]).var() / total)) if total > 0 else 0.0


def spread_grows(values: np.ndarray, season: int) -> bool:
    """Return whether logarithms make the spread within the blocks of a series more alike, as in Guerrero's method.

    A block is a season, of at least four points. The spread of a block is its standard deviation. Logarithms help if
    spread divided by level varies less from block to block, relative to its mean, than the spread itself (Guerrero,
    "Time-series analysis supported by power transformations", 1993). With fewer than four blocks, or a value that is
    not positive, the result is False.
    """
    size = max(season, SHORTEST_BLOCK)
    count = len(values) // size
    if count < FEWEST_BLOCKS or (values <= 0).any():
        return False
    blocks = values[-count * size :].reshape(count, size)
    spread, level = blocks.std(axis=1), blocks.mean(axis=1)
    return _variation(spread / level) < _variation(spread)


def _variation(values: np.ndarray) -> float:
    """Return the standard deviation as a share of the mean."""
    return float(values.std() / values.mean()) if values.any() else 0.0

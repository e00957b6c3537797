"""Scores, in the series' own units."""

import numpy as np


def rmse(actual: np.ndarray, predicted: np.ndarray) -> float:
    """Root mean squared error over all entries of two arrays of one shape."""
    return float(np.sqrt(np.mean((actual - predicted) ** 2)))


def skill(score: float, baseline: float) -> float:
    """Share of a baseline's error, above 0, that a model takes away: 1 is perfect, 0 no better, negative worse."""
    return 1 - score / baseline

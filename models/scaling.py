"""Scaling: each series' shift and size, fitted on its training part alone."""

from dataclasses import dataclass

import numpy as np

from models.errors import InputError
from models.panel import Panel

CHUNK = 1 << 18
"""Points that are scaled at once."""


@dataclass(frozen=True)
class Scaling:
    """`mean` and `deviation`, float64 [N], of the series named by `ids`; empty where nothing is scaled."""

    ids: tuple[str, ...]
    mean: np.ndarray
    deviation: np.ndarray

    def scale(self, panel: Panel, dtype: type[np.floating] = np.float64) -> Panel:
        """The panel with each series at mean 0 and deviation 1, computed in float64 and kept as `dtype`."""
        if not self.ids:
            return panel
        mean, deviation = self._of(panel)
        scaled = np.empty(len(panel.values), dtype)
        for begin in range(0, len(scaled), CHUNK):
            points = np.arange(begin, min(begin + CHUNK, len(scaled)))
            series = panel.series_of(points)
            scaled[points] = (panel.values[points] - mean[series]) / deviation[series]
        return panel.with_values(scaled)

    def unscale(self, panel: Panel, series: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """Answers [M, S] for the series numbered `series` [M] of the panel, in the panel's own scale."""
        if not self.ids:
            return answers
        mean, deviation = self._of(panel)
        return answers * deviation[series, None] + mean[series, None]

    def _of(self, panel: Panel) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation [N] of the panel's series; those never seen in training are taken as they come."""
        if panel.ids == self.ids:
            return self.mean, self.deviation
        known = {name: n for n, name in enumerate(self.ids)}
        pairs = []
        for name, begin, end in zip(panel.ids, panel.starts, panel.ends, strict=True):
            n = known.get(name)
            own = panel.values[begin:end]
            pairs.append((own.mean(), own.std() or 1.0) if n is None else (self.mean[n], self.deviation[n]))
        mean, deviation = np.array(pairs).T
        return mean, deviation


UNSCALED = Scaling((), np.empty(0), np.empty(0))


def fit_scaling(panel: Panel, train_ends: np.ndarray) -> Scaling:
    """The scaling that brings each series' training part, up to `train_ends` [N], to mean 0 and deviation 1."""
    parts = [panel.values[a:b] for a, b in zip(panel.starts, train_ends, strict=True)]
    mean = np.array([part.mean() for part in parts])
    return Scaling(panel.ids, mean, np.array([part.std() for part in parts]))


def refuse_constant_series(panel: Panel, train_ends: np.ndarray) -> None:
    """**Raises:** `InputError` where a training part, up to `train_ends` [N], has one and the same value throughout."""
    for name, begin, end in zip(panel.ids, panel.starts, train_ends, strict=True):
        part = panel.values[begin:end]
        if part.min() == part.max():
            raise InputError(
                f"series '{name}' is constant: all {len(part)} points of its training part are {part[0]:g}; "
                "there is nothing to learn, so leave it out or give more points"
            )

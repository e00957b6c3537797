"""Scaling: what a network sees in place of the values, fitted on the training part alone, and the way back."""

from dataclasses import dataclass, replace

import numpy as np

from models.data.covariate_scaling import NO_SCALING, CovariateScaling, fit_covariate_scaling, scaled_covariates
from models.data.panel import Panel
from models.errors import InputError
from models.specs import WindowSpec

CHUNK = 1 << 18
"""Points that are scaled at once."""
LARGE = 1e150
"""Values whose squares may be too large for a float64."""
SMALL = 1e-100
"""Sizes below it are rounding errors: what is divided by one of them may be too large for a float64."""
NORMAL_QUARTERS = 1.3489795
"""Distance of the quartiles of a normal distribution, in standard deviations."""


@dataclass(frozen=True)
class Scaling:
    """How `window` says that values are transformed and scaled, with what was fitted.

    `offsets` and `scales`, float64 [N], are of the series named by `ids`; all empty where nothing is scaled. `covariates` is
    the same for the covariates.
    """

    window: WindowSpec
    ids: tuple[str, ...]
    offsets: np.ndarray
    scales: np.ndarray
    covariates: CovariateScaling = NO_SCALING

    def scale(
        self, panel: Panel, dtype: type[np.floating] = np.float64, until: np.ndarray | None = None, steps: int = 0
    ) -> Panel:
        """The panel as a network sees it, its values computed in float64 and kept as `dtype`, its covariates complete.

        **Arguments:** `until` [N], by default the series' ends: a series that was never seen in training is scaled by
        its own values before that point; `steps`, how far beyond its end covariates are wanted.

        **Raises:** `InputError` where logarithms are asked for and a value is not positive.
        """
        if self.window.transform == "log":
            refuse_what_has_no_logarithm(panel)
        covariates = scaled_covariates(panel, self.window.calendar, self.covariates, steps)
        if not self.ids and self.window.transform == "none":
            return replace(panel, covariates=covariates)
        offsets, scales = self._of(panel, until)
        scaled = np.empty(len(panel.values), dtype)
        for begin in range(0, len(scaled), CHUNK):
            points = np.arange(begin, min(begin + CHUNK, len(scaled)))
            series = panel.series_of(points)
            scaled[points] = (_transformed(panel, points, self.window) - offsets[series]) / scales[series]
        observed = panel.observed
        if self.window.transform == "difference":
            observed = observed & np.concatenate([[False], observed[:-1]])
            observed[panel.starts] = False
        return replace(panel, values=scaled, observed=observed, covariates=covariates)

    def unscale(
        self, panel: Panel, origins: np.ndarray, answers: np.ndarray, until: np.ndarray | None = None
    ) -> np.ndarray:
        """Answers [M, S] from the origins [M] of the panel on, in the panel's own scale."""
        series = panel.series_of(origins - 1)
        if self.ids:
            offsets, scales = self._of(panel, until)
            answers = answers * scales[series, None] + offsets[series, None]
        if self.window.transform == "log":
            return np.exp(answers)
        if self.window.transform == "difference":
            return panel.values[origins - 1, None] + answers.cumsum(axis=1)
        return answers

    def _of(self, panel: Panel, until: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Centre and scales [N] of the panel's series."""
        if not self.ids:
            return np.zeros(len(panel.ids)), np.ones(len(panel.ids))
        if panel.ids == self.ids:
            return self.offsets, self.scales
        known = {name: n for n, name in enumerate(self.ids)}
        ends = panel.ends if until is None else until
        pairs = [
            _measured(panel, n, int(ends[n]), self.window)
            if name not in known
            else (self.offsets[known[name]], self.scales[known[name]])
            for n, name in enumerate(panel.ids)
        ]
        offsets, scales = np.array(pairs).T
        return offsets, scales


def fit_scaling(panel: Panel, train_ends: np.ndarray, window: WindowSpec) -> Scaling:
    """The scaling that `window` asks for, by each series' training part, up to `train_ends` [N]."""
    columns = fit_covariate_scaling(panel, train_ends)
    if window.transform == "log":
        refuse_what_has_no_logarithm(panel)
    if window.scale == "none":
        return Scaling(window, (), np.empty(0), np.empty(0), columns)
    pairs = [_measured(panel, n, int(end), window) for n, end in enumerate(train_ends)]
    offsets, scales = np.array(pairs).T
    return Scaling(window, panel.ids, offsets, scales, columns)


def _measured(panel: Panel, series: int, end: int, window: WindowSpec) -> tuple[float, float]:
    """Centre and scales of one series up to the point `end`, by what was observed."""
    span = slice(int(panel.starts[series]), end)
    own = panel.values[span] if window.transform == "none" else _transformed(panel, np.arange(span.start, end), window)
    seen = panel.observed[span]
    if not seen.all() and seen.any():
        own = own[seen]
    if window.scale == "robust":
        low, offsets, high = np.quantile(own, [0.25, 0.5, 0.75])
        half = float((high - low) / NORMAL_QUARTERS)
        return float(offsets), half if half > SMALL else _size(own)
    return float(own.mean()), _size(own)


def _size(own: np.ndarray) -> float:
    """The deviation, or 1 where there is none."""
    largest = max(float(own.max()), -float(own.min()), 1.0)  # of values that are divided by it, no square overflows
    scales = float(own.std()) if largest < LARGE else float((own / largest).std()) * largest
    return scales if scales > SMALL else 1.0


def _transformed(panel: Panel, points: np.ndarray, window: WindowSpec) -> np.ndarray:
    """Values of the points, transformed; the first change of a series is 0."""
    values: np.ndarray = panel.values[points]
    if window.transform == "log":
        return np.log(values)
    if window.transform == "difference":
        first = np.isin(points, panel.starts)
        return np.where(first, 0.0, values - panel.values[points - 1])
    return values


def refuse_what_has_no_logarithm(panel: Panel) -> None:
    """**Raises:** `InputError` where a value is not positive."""
    wrong = np.flatnonzero(panel.values <= 0)
    if len(wrong):
        n = int(panel.series_of(wrong[:1])[0])
        raise InputError(
            f"series '{panel.ids[n]}' has the value {panel.values[wrong[0]]:g}, which has no logarithm; choose another "
            "--window.transform"
        )


def refuse_constant_series(panel: Panel, train_ends: np.ndarray) -> None:
    """**Raises:** `InputError` where a training part, up to `train_ends` [N], has one and the same value throughout."""
    for n in constant_series(panel, train_ends)[:1]:
        part = panel.values[panel.starts[n] : train_ends[n]]
        raise InputError(
            f"series '{panel.ids[n]}' is constant: all {len(part)} points of its training part are {part[0]:g}; "
            "there is nothing to learn, so leave it out or give more points"
        )


def constant_series(panel: Panel, train_ends: np.ndarray) -> np.ndarray:
    """Which of the series have one and the same value up to `train_ends` [N], int64 [n]."""
    parts = (panel.values[begin:end] for begin, end in zip(panel.starts, train_ends, strict=True))
    return np.flatnonzero([part.min() == part.max() for part in parts])

"""Scaling: transform and scale values for a network, by what was fitted on the training part, and undo it."""

from dataclasses import dataclass, replace

import numpy as np

from models.data.covariate_scaling import NO_SCALING, CovariateScaling, fit_covariate_scaling, scaled_covariates
from models.data.panel import Panel
from models.errors import InputError
from models.specs import WindowSpec

CHUNK = 1 << 18
"""Points that are scaled at once."""
LARGE = 1e150
"""From this size on, squares of values may overflow a float64."""
SMALL = 1e-100
"""A smaller scale comes from rounding errors; dividing by it may overflow a float64."""
NORMAL_QUARTILE_DISTANCE = 1.3489795
"""Distance of the quartiles of a normal distribution, in standard deviations."""


@dataclass(frozen=True)
class Scaling:
    """The transform and scale that `window` asks for, with what was fitted for them.

    `offsets` and `scales`, float64 [N], belong to the series named by `ids`; a transformed value is scaled to
    (value - offset) / scale. All three are empty if nothing is scaled. `covariates` is the scaling of the covariates.
    """

    window: WindowSpec
    ids: tuple[str, ...]
    offsets: np.ndarray
    scales: np.ndarray
    covariates: CovariateScaling = NO_SCALING

    def scale(
        self, panel: Panel, dtype: type[np.floating] = np.float64, until: np.ndarray | None = None, steps: int = 0
    ) -> Panel:
        """Return the panel as a network sees it: values computed in float64 and kept as `dtype`, all covariates.

        **Arguments:** `until` [N], by default the ends of the series: a series that was not in the training is scaled
        by its own values before that point; `steps`, how far beyond the ends covariates are needed.

        **Raises:** `InputError` if logarithms are asked for and a value is not positive.
        """
        if self.window.transform == "log":
            refuse_nonpositive_values(panel)
        covariates = scaled_covariates(panel, self.window.calendar, self.covariates, steps)
        if not self.ids and self.window.transform == "none":
            return replace(panel, covariates=covariates)
        offsets, scales = self._for_panel(panel, until)
        scaled = np.empty(len(panel.values), dtype)
        for begin in range(0, len(scaled), CHUNK):
            points = np.arange(begin, min(begin + CHUNK, len(scaled)))
            series = panel.series_of(points)
            scaled[points] = (_transform(panel, points, self.window) - offsets[series]) / scales[series]
        observed = panel.observed
        if self.window.transform == "difference":
            observed = observed & np.concatenate([[False], observed[:-1]])
            observed[panel.starts] = False
        return replace(panel, values=scaled, observed=observed, covariates=covariates)

    def unscale(
        self, panel: Panel, origins: np.ndarray, forecasts: np.ndarray, until: np.ndarray | None = None
    ) -> np.ndarray:
        """Return a network's forecasts [M, S] from the origins [M] in the units of the (unscaled) panel."""
        series = panel.series_of(origins - 1)
        if self.ids:
            offsets, scales = self._for_panel(panel, until)
            forecasts = forecasts * scales[series, None] + offsets[series, None]
        if self.window.transform == "log":
            return np.exp(forecasts)
        if self.window.transform == "difference":
            return panel.values[origins - 1, None] + forecasts.cumsum(axis=1)
        return forecasts

    def _for_panel(self, panel: Panel, until: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the offset and the scale of each series of a panel, [N] each; measured here for unknown series."""
        if not self.ids:
            return np.zeros(len(panel.ids)), np.ones(len(panel.ids))
        if panel.ids == self.ids:
            return self.offsets, self.scales
        numbers = {name: n for n, name in enumerate(self.ids)}
        ends = panel.ends if until is None else until
        pairs = [
            (self.offsets[numbers[name]], self.scales[numbers[name]])
            if name in numbers
            else _measure_series(panel, n, int(ends[n]), self.window)
            for n, name in enumerate(panel.ids)
        ]
        offsets, scales = np.array(pairs).T
        return offsets, scales


def fit_scaling(panel: Panel, train_ends: np.ndarray, window: WindowSpec) -> Scaling:
    """Fit the scaling that `window` asks for to the training part of each series, which ends at `train_ends` [N]."""
    covariate_scaling = fit_covariate_scaling(panel, train_ends)
    if window.transform == "log":
        refuse_nonpositive_values(panel)
    if window.scale == "none":
        return Scaling(window, (), np.empty(0), np.empty(0), covariate_scaling)
    pairs = [_measure_series(panel, n, int(end), window) for n, end in enumerate(train_ends)]
    offsets, scales = np.array(pairs).T
    return Scaling(window, panel.ids, offsets, scales, covariate_scaling)


def _measure_series(panel: Panel, series: int, end: int, window: WindowSpec) -> tuple[float, float]:
    """Return the offset and the scale of one series, from what was observed before the point `end`."""
    span = slice(int(panel.starts[series]), end)
    values = panel.values[span] if window.transform == "none" else _transform(panel, np.arange(span.start, end), window)
    observed = panel.observed[span]
    if not observed.all() and observed.any():
        values = values[observed]
    if window.scale == "robust":
        lower, median, upper = np.quantile(values, [0.25, 0.5, 0.75])
        scale = float((upper - lower) / NORMAL_QUARTILE_DISTANCE)
        return float(median), scale if scale > SMALL else _deviation(values)
    return float(values.mean()), _deviation(values)


def _deviation(values: np.ndarray) -> float:
    """Return the standard deviation, or 1 if it is nothing but rounding errors."""
    largest = max(float(values.max()), -float(values.min()), 1.0)  # squares of values divided by it do not overflow
    deviation = float(values.std()) if largest < LARGE else float((values / largest).std()) * largest
    return deviation if deviation > SMALL else 1.0


def _transform(panel: Panel, points: np.ndarray, window: WindowSpec) -> np.ndarray:
    """Return the transformed values of the points; the first difference of a series is 0."""
    values: np.ndarray = panel.values[points]
    if window.transform == "log":
        return np.log(values)
    if window.transform == "difference":
        first = np.isin(points, panel.starts)
        return np.where(first, 0.0, values - panel.values[points - 1])
    return values


def refuse_nonpositive_values(panel: Panel) -> None:
    """**Raises:** `InputError` if a value is not positive, and so has no logarithm."""
    nonpositive = np.flatnonzero(panel.values <= 0)
    if len(nonpositive):
        n = int(panel.series_of(nonpositive[:1])[0])
        raise InputError(
            f"series '{panel.ids[n]}' has the value {panel.values[nonpositive[0]]:g}, which has no logarithm; choose "
            "another --window.transform"
        )


def refuse_constant_series(panel: Panel, train_ends: np.ndarray) -> None:
    """**Raises:** `InputError` if all values of a training part, which ends at `train_ends` [N], are the same."""
    for n in constant_series(panel, train_ends)[:1]:
        part = panel.values[panel.starts[n] : train_ends[n]]
        raise InputError(
            f"series '{panel.ids[n]}' is constant: all {len(part)} points of its training part are {part[0]:g}; "
            "there is nothing to learn, so leave it out or give more points"
        )


def constant_series(panel: Panel, train_ends: np.ndarray) -> np.ndarray:
    """Return the numbers of the series whose values before `train_ends` [N] are all the same, int64."""
    parts = (panel.values[start:end] for start, end in zip(panel.starts, train_ends, strict=True))
    return np.flatnonzero([part.min() == part.max() for part in parts])

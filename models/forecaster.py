"""A forecaster: a trained network with its scaling, which forecasts in the units of the series."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from models.combined import Combined, part_spec
from models.data.calendar import calendar_names
from models.data.covariates import NO_COVARIATES, CovariateNames
from models.data.panel import Panel, panel_from_frame
from models.data.scaling import Scaling, refuse_nonpositive_values
from models.data.steps import ONE, Step
from models.elman import Elman, refuse_several_series
from models.errors import InputError
from models.intervals import Intervals
from models.metrics import naive_scale
from models.network import PLAIN, Layout, TrainedNetwork
from models.numpy_rnn import NumpyRNN
from models.specs import COMBINED, RECURRENT, Fill, ModelSpec


@dataclass
class Forecaster:
    """The result of a training: enough to forecast from raw rows, anywhere.

    The half-widths of `intervals` are multiples of a scale of each series. `interval_scales` holds the scale of each
    series of the training by name; that of any other series is measured on its rows. `step` is that of the time axis.
    """

    spec: ModelSpec
    scaling: Scaling
    network: TrainedNetwork
    fill: Fill = "last"
    covariate_names: CovariateNames = NO_COVARIATES
    intervals: Intervals | None = None
    interval_scales: dict[str, float] = field(default_factory=dict)
    step: Step = ONE

    def predict(self, panel: Panel, origins: np.ndarray) -> np.ndarray:
        """Return forecasts [M, S] from each origin on, from the values before it alone."""
        until = first_origins(panel, origins)
        scaled = self.scaling.scale(panel, self.network.dtype, until, self.spec.window.horizon)
        return self.scaling.unscale(panel, origins, self.network.predict(scaled, origins), until)

    def extend(self, panel: Panel, steps: int, origins: np.ndarray | None = None) -> np.ndarray:
        """Return forecasts [M, steps] from each origin on, by default from the ends of the N series."""
        origins = panel.ends if origins is None else origins
        if steps <= self.spec.window.horizon and not self.network.layout.n_known:
            return self.predict(panel, origins)[:, :steps]
        until = first_origins(panel, origins)
        scaled = self.scaling.scale(panel, self.network.dtype, until, steps)
        return self.scaling.unscale(panel, origins, self.network.extend(scaled, steps, origins), until)

    def forecast_column_names(self) -> list[str]:
        """Return the names of the columns of a forecast: the model's, and those of its intervals if it has any."""
        name, intervals = self.spec.model, self.intervals
        return [name] if intervals is None else [name, f"{name}-lo-{intervals.level}", f"{name}-hi-{intervals.level}"]

    def forecast_panel(self, panel: Panel, steps: int) -> dict[str, np.ndarray]:
        """Return forecasts [N, steps] beyond the end of each series, and the bounds of their intervals, by column."""
        forecasts = [self.extend(panel, steps)]
        if self.intervals is not None:
            measured = seasonal_change_scales(panel, panel.ends, self.spec.season)  # [N]
            scales = [
                self.interval_scales.get(name, scale) for name, scale in zip(panel.ids, measured.tolist(), strict=True)
            ]
            forecasts += self.intervals.around(forecasts[0], np.array(scales))
        return dict(zip(self.forecast_column_names(), forecasts, strict=True))

    def forecast(self, frame: pd.DataFrame, horizon: int) -> pd.DataFrame:
        """Forecast raw rows: `unique_id`, `ds`, `y` and covariates in; `unique_id`, `cutoff`, `ds`, forecasts out.

        Missing values and missing rows are filled as in training.

        **Raises:** `InputError` if the rows do not follow the step of the training, and as `panel_from_frame`.
        """
        panel, _ = panel_from_frame(frame, self.fill, self.covariate_names, self.step)
        return future_table(panel, self.forecast_panel(self.pad_short_series(panel), horizon))

    def pad_short_series(self, panel: Panel) -> Panel:
        """Pad series that are shorter than a window, if the training did so."""
        if self.spec.window.short != "pad":
            return panel
        return panel.padded(np.full(len(panel.ids), self.spec.window.length))


def build_network(spec: ModelSpec, device: str = "cpu", layout: Layout = PLAIN) -> TrainedNetwork:
    """Build the network that a spec describes, with its first weights."""
    if spec.model == COMBINED:
        networks = {model: build_network(part_spec(spec, model), device, layout) for model in spec.parts}
        return Combined(networks, spec)
    if spec.model in RECURRENT:
        from models.recurrent import Recurrent  # PyTorch takes a second to import, and the other models do without

        return Recurrent(spec, device, layout)
    return Elman(spec) if spec.model == "elman" else NumpyRNN(spec)


def refuse_misfit(spec: ModelSpec, panel: Panel) -> None:
    """Check before the training that a model can learn a panel, without the slow import of PyTorch.

    **Raises:** `InputError` if it cannot.
    """
    if spec.window.transform == "log":
        refuse_nonpositive_values(panel)
    if spec.model in RECURRENT:
        return
    if layout_of(spec, panel).n_covariates:
        raise InputError(
            f"{spec.model} reads values alone; leave --window.calendar and covariates out, or choose "
            f"{', '.join(RECURRENT)}"
        )
    build_network(spec)
    if spec.model == "elman":
        refuse_several_series(panel)


def layout_of(spec: ModelSpec, panel: Panel) -> Layout:
    """Return the layout of a network of this spec for this panel."""
    covariates, n_calendar = panel.covariates, len(calendar_names(spec.window.calendar))
    ids = panel.ids if spec.fit.scope == "local" else ()
    if covariates is None:
        return Layout(n_calendar, n_calendar, ids)
    return Layout(n_calendar + len(covariates.names), n_calendar + covariates.n_known, ids)


def covariate_names_of(panel: Panel) -> CovariateNames:
    """Return the names of a panel's covariates by kind."""
    covariates = panel.covariates
    if covariates is None:
        return NO_COVARIATES
    names, n_static, n_known = covariates.names, covariates.n_static, covariates.n_known
    return CovariateNames(past=names[n_known:], known=names[n_static:n_known], static=names[:n_static])


def first_origins(panel: Panel, origins: np.ndarray) -> np.ndarray:
    """Return the first origin of each series, int64 [N]; the end of a series that has none."""
    first = panel.ends.copy()
    np.minimum.at(first, panel.series_of(origins - 1), origins)
    return first


def seasonal_change_scales(panel: Panel, ends: np.ndarray, season: int) -> np.ndarray:
    """Return the scale of each series' intervals, [N]: its mean seasonal change before `ends` [N], 1 if it has none."""
    scale = naive_scale(panel, ends, season)
    return np.where(scale > 0, scale, 1.0)  # a NaN is not above 0


def future_table(panel: Panel, forecasts: dict[str, np.ndarray]) -> pd.DataFrame:
    """Return a long table of `forecasts`, [N, steps] by column, which begin at the end of each of the N series."""
    steps = next(iter(forecasts.values())).shape[1]
    tables = []
    for n, (name, length) in enumerate(zip(panel.ids, panel.ends - panel.starts, strict=True)):
        times = panel.times(n, int(length) - 1, steps + 1)
        columns = {"unique_id": name, "cutoff": times[0], "ds": times[1:]}
        tables.append(pd.DataFrame(columns | {column: values[n] for column, values in forecasts.items()}))
    return pd.concat(tables, ignore_index=True)

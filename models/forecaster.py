"""A forecaster: a trained network with the scaling around it, in the series' own units."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from models.data.calendar import calendar_names
from models.data.covariates import CovariateNames
from models.data.panel import Fill, Panel, panel_from_frame
from models.data.scaling import Scaling, refuse_what_has_no_logarithm
from models.elman import Elman, refuse_several_series
from models.errors import InputError
from models.intervals import Intervals
from models.metrics import naive_scale
from models.network import PLAIN, Layout, TrainedNetwork
from models.numpy_rnn import NumpyRNN
from models.specs import RECURRENT, ModelSpec


@dataclass
class Forecaster:
    """What is kept of a training: enough to forecast from raw rows, anywhere.

    `intervals` count in `units`, one a series of the training by its name; those of other series come from their rows.
    """

    spec: ModelSpec
    scaling: Scaling
    network: TrainedNetwork
    fill: Fill = "last"
    covariate_names: CovariateNames = field(default_factory=CovariateNames)
    intervals: Intervals | None = None
    interval_scales: dict[str, float] = field(default_factory=dict)

    def predict(self, panel: Panel, origins: np.ndarray) -> np.ndarray:
        """Forecasts [M, S] of the S values from each origin on, from the values before it alone."""
        until = first_origins(panel, origins)
        scaled = self.scaling.scale(panel, self.network.dtype, until, self.spec.window.horizon)
        return self.scaling.unscale(panel, origins, self.network.predict(scaled, origins), until)

    def extend(self, panel: Panel, steps: int, origins: np.ndarray | None = None) -> np.ndarray:
        """Forecasts [M, steps] from each origin on, by default from the ends of the N series."""
        origins = panel.ends if origins is None else origins
        if steps <= self.spec.window.horizon and not self.network.layout.n_known:
            return self.predict(panel, origins)[:, :steps]
        until = first_origins(panel, origins)
        scaled = self.scaling.scale(panel, self.network.dtype, until, steps)
        return self.scaling.unscale(panel, origins, self.network.extend(scaled, steps, origins), until)

    def column_names(self) -> list[str]:
        """The columns of a forecast: the model's, and its intervals' where it has any."""
        name, intervals = self.spec.model, self.intervals
        return [name] if intervals is None else [name, f"{name}-lo-{intervals.level}", f"{name}-hi-{intervals.level}"]

    def forecast_columns(self, panel: Panel, steps: int) -> dict[str, np.ndarray]:
        """Forecasts [N, steps] beyond the end of each series, by column."""
        answers = [self.extend(panel, steps)]
        if self.intervals is not None:
            strange = interval_scales(panel, panel.ends, self.spec.season)  # [N]
            units = [
                self.interval_scales.get(name, unit) for name, unit in zip(panel.ids, strange.tolist(), strict=True)
            ]
            answers += self.intervals.around(answers[0], np.array(units))
        return dict(zip(self.column_names(), answers, strict=True))

    def forecast(self, frame: pd.DataFrame, horizon: int) -> pd.DataFrame:
        """Forecast raw rows: `unique_id`, `ds`, `y` and covariates in; `unique_id`, `cutoff`, `ds` and columns out.

        Missing values and missing rows are filled by the rule of the training.
        """
        panel, _ = panel_from_frame(frame, self.fill, self.covariate_names)
        return future_table(panel, self.forecast_columns(self.padded_as_trained(panel), horizon))

    def padded_as_trained(self, panel: Panel) -> Panel:
        """The panel, where the model was trained so with what is too short repeated in front."""
        if self.spec.window.short != "pad":
            return panel
        return panel.padded(np.full(len(panel.ids), self.spec.window.length))


def build_network(spec: ModelSpec, device: str = "cpu", layout: Layout = PLAIN) -> TrainedNetwork:
    """The network that a spec describes, with its first weights."""
    if spec.model in RECURRENT:
        from models.recurrent import Recurrent  # PyTorch takes a second to import, and the others do without

        return Recurrent(spec, device, layout)
    return Elman(spec) if spec.model == "elman" else NumpyRNN(spec)


def refuse_misfit(spec: ModelSpec, panel: Panel) -> None:
    """Find what a model cannot do for this panel, without PyTorch, whose import takes a second.

    **Raises:** `InputError`.
    """
    if spec.window.transform == "log":
        refuse_what_has_no_logarithm(panel)
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
    """What a network for this panel has to fit."""
    own, moments = panel.covariates, len(calendar_names(spec.window.calendar))
    ids = panel.ids if spec.fit.scope == "local" else ()
    return Layout(moments + (len(own.names) if own else 0), moments + (own.n_known if own else 0), ids)


def covariate_names_of(panel: Panel) -> CovariateNames:
    """The names under which a panel's covariates stood in its table."""
    own = panel.covariates
    if own is None:
        return CovariateNames()
    return CovariateNames(own.names[own.n_known :], own.names[own.n_static : own.n_known], own.names[: own.n_static])


def first_origins(panel: Panel, origins: np.ndarray) -> np.ndarray:
    """The first origin of each series, int64 [N]; its end where it has none."""
    first = panel.ends.copy()
    np.minimum.at(first, panel.series_of(origins - 1), origins)
    return first


def interval_scales(panel: Panel, ends: np.ndarray, season: int) -> np.ndarray:
    """What a series' intervals count in, [N]: its usual seasonal change before `ends` [N]; 1 where it has none."""
    scale = naive_scale(panel, ends, season)
    return np.where(scale > 0, scale, 1.0)  # a NaN is not above 0


def future_table(panel: Panel, answers: dict[str, np.ndarray]) -> pd.DataFrame:
    """Forecasts [N, steps] beyond the end of each of the N series, by column, as a long table."""
    steps = next(iter(answers.values())).shape[1]
    tables = []
    for n, (name, length) in enumerate(zip(panel.ids, panel.ends - panel.starts, strict=True)):
        times = panel.times(n, int(length) - 1, steps + 1)
        columns = {"unique_id": name, "cutoff": times[0], "ds": times[1:]}
        tables.append(pd.DataFrame(columns | {column: values[n] for column, values in answers.items()}))
    return pd.concat(tables, ignore_index=True)

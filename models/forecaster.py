"""A forecaster: a trained network with the scaling around it, in the series' own units."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.elman import Elman
from models.network import TrainedNetwork
from models.numpy_rnn import NumpyRNN
from models.panel import Fill, Panel, panel_from_frame
from models.scaling import Scaling
from models.specs import RECURRENT, ModelSpec


def build_network(spec: ModelSpec, device: str = "cpu") -> TrainedNetwork:
    """The network that a spec describes, with its first weights."""
    if spec.model in RECURRENT:
        from models.recurrent import Recurrent  # PyTorch takes a second to import, and the others do without

        return Recurrent(spec, device)
    return Elman(spec) if spec.model == "elman" else NumpyRNN(spec)


@dataclass
class Forecaster:
    """What is kept of a training: enough to forecast from raw rows, anywhere."""

    spec: ModelSpec
    scaling: Scaling
    network: TrainedNetwork
    fill: Fill = "last"

    def predict(self, panel: Panel, origins: np.ndarray) -> np.ndarray:
        """Forecasts [M, S] of the S values from each origin on, from the values before it alone."""
        answers = self.network.predict(self.scaling.scale(panel, self.network.dtype), origins)
        return self.scaling.unscale(panel, panel.series_of(origins - 1), answers)

    def extend(self, panel: Panel, steps: int) -> np.ndarray:
        """Forecasts [N, steps] beyond the end of each of the N series."""
        answers = self.network.extend(self.scaling.scale(panel, self.network.dtype), steps)
        return self.scaling.unscale(panel, np.arange(len(panel.ids)), answers)

    def forecast(self, frame: pd.DataFrame, horizon: int) -> pd.DataFrame:
        """Forecast raw rows: `unique_id`, `ds`, `y` in; `unique_id`, `cutoff`, `ds` and the model's column out.

        Missing values and missing rows are filled by the rule of the training.
        """
        panel, _ = panel_from_frame(frame, self.fill)
        return future_table(panel, {self.spec.model: self.extend(panel, horizon)})


def future_table(panel: Panel, answers: dict[str, np.ndarray]) -> pd.DataFrame:
    """Forecasts [N, steps] beyond the end of each of the N series, by column, as a long table."""
    steps = next(iter(answers.values())).shape[1]
    tables = []
    for n, (name, length) in enumerate(zip(panel.ids, panel.ends - panel.starts, strict=True)):
        times = panel.times(n, int(length) - 1, steps + 1)
        columns = {"unique_id": name, "cutoff": times[0], "ds": times[1:]}
        tables.append(pd.DataFrame(columns | {column: values[n] for column, values in answers.items()}))
    return pd.concat(tables, ignore_index=True)

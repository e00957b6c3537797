"""The recurrent forecasters rnn, gru and lstm: a population behind the interface that all networks share."""

from collections.abc import Iterator

import numpy as np
import torch

from models.backends import choose_backend
from models.data.panel import Panel
from models.data.windows import actual_values, contexts, forecast_recursively, refuse_short_past
from models.errors import InputError
from models.network import PLAIN, Epoch, Layout, State, WindowedNetwork
from models.population.arithmetic import check_precision, on_gpu, small_products
from models.population.fitting import fit
from models.population.network import Population, Sizes
from models.population.tensors import PanelTensors, tensors_of, windows_as_tensors
from models.population.window_scaling import measure_training_scales
from models.specs import ModelSpec

MOST_FORECASTS = 1 << 22
"""Most forecast values, over all members, that are held at once."""
SAMPLE = 1 << 18
"""Most values, 2 MiB of them, in the windows on which scales are measured."""


class Recurrent(WindowedNetwork):
    """An ensemble of networks that read the last T values and forecast the next S.

    The forecast is their median or mean. One ensemble serves all series, or each series has its own: K networks in all.
    `backend` computes them.
    """

    dtype: type[np.floating] = np.float32

    def __init__(self, spec: ModelSpec, device: str = "cpu", layout: Layout = PLAIN):
        check_precision(spec.fit.precision, device)
        self.spec, self.layout = spec, layout
        self.length, self.horizon = spec.window.length, spec.window.horizon
        self.seeds = [spec.seed + member for member in range(spec.fit.members)] * max(1, len(layout.ids))
        sizes = Sizes(self.length, self.horizon, spec.season, layout.n_covariates, layout.n_known)
        self.population = Population(spec.model, spec.recurrent, sizes, self.seeds, device)
        self.backend = choose_backend(self.population)
        self.has_scales = False

    def fit(
        self, panel: Panel, train: np.ndarray, validation: np.ndarray | None, resume: State | None = None
    ) -> Iterator[Epoch]:
        """Train on the origins `train` [M], each network on those of its series; keep the best weights of each.

        Training goes on from the current weights, or from the state of an epoch where `resume` holds one.
        """
        origins = self._origins_by_network(panel, train)
        if not self.has_scales:
            self._measure_scales(panel, origins)
        tensors = tensors_of(panel, self.population.flat)
        held_out = None if validation is None else self._origins_by_network(panel, validation)
        with small_products(), on_gpu(self.spec.fit):
            steps = self.backend.steps(self.population, tensors, self.spec.fit)
            yield from fit(self.population, steps, origins, held_out, self.spec.fit, self.seeds, resume)

    def _measure_scales(self, panel: Panel, origins_by_network: list[np.ndarray]) -> None:
        """Measure the scale of inputs and targets on the windows that each network learns from."""
        scales = self.population.training_scales
        n_sharing = len(self.seeds) // len(origins_by_network)  # networks that share their origins
        for first, origins in zip(range(0, len(self.seeds), n_sharing), origins_by_network, strict=True):
            if len(origins) == 0:  # nothing to learn from: the forecast is the target offset, if there is one
                scales.target_scale[first : first + n_sharing] = 0
                continue
            sample = origins[:: -(-len(origins) * (self.length + self.horizon) // SAMPLE)]
            windows = np.concatenate(list(contexts(panel.values, sample, self.length)))  # [m, T]
            targets = actual_values(panel, sample, self.horizon)  # [m, S], NaN where nothing was observed
            measured = measure_training_scales(
                torch.from_numpy(windows.T), torch.from_numpy(targets), self.spec.recurrent, self.spec.season
            )
            for scale, value in zip(scales, measured, strict=True):
                scale[first : first + n_sharing] = value
        self.has_scales = True

    def _origins_by_network(self, panel: Panel, origins: np.ndarray) -> list[np.ndarray]:
        """Return the origins of each network's series, K arrays; a single one where all share one ensemble."""
        if not self.layout.ids:
            return [origins]
        series = panel.series_of(origins - 1)  # [M]
        bounds = np.searchsorted(series, np.arange(len(panel.ids) + 1))  # the origins are in order
        by_series = {name: origins[bounds[n] : bounds[n + 1]] for n, name in enumerate(panel.ids)}
        missing = [name for name in self.layout.ids if name not in by_series]
        if missing:
            raise InputError(f"series '{missing[0]}', which has a network of its own, is not among those to train on")
        return [by_series[name] for name in self.layout.ids for _ in range(self.spec.fit.members)]

    def predict(self, panel: Panel, origins: np.ndarray) -> np.ndarray:
        """Return forecasts [M, S] of the S values from each origin on.

        **Raises:** `InputError` if a series has fewer than T values before an origin.
        """
        refuse_short_past(panel, origins, self.length)
        beyond_end = origins + self.horizon > panel.ends[panel.series_of(origins - 1)]  # [M]
        if self.layout.n_known and beyond_end.any():  # where covariates known ahead lie beyond the panel's points
            return self.extend(panel, self.horizon, origins)
        return self._forecast(tensors_of(panel, self.population.flat), origins, self._ensembles(panel, origins))

    def predict_windows(self, windows: np.ndarray) -> np.ndarray:
        """Return forecasts [M, S] from windows [M, T] without covariates, by the one ensemble for all series."""
        tensors, origins = windows_as_tensors(windows, np.empty((*windows.shape, 0)), self.population.flat)
        return self._forecast(tensors, origins, None)

    def _extend(self, panel: Panel, steps: int, origins: np.ndarray) -> np.ndarray:
        ensembles, covariates = self._ensembles(panel, origins), self._covariates(panel, origins, steps)
        windows = np.concatenate(list(contexts(panel.values, origins, self.length)))  # [M, T]

        def forecast(windows: np.ndarray, done: int) -> np.ndarray:
            part = covariates[:, done : done + self.length + self.horizon]  # [M, T + S, F]
            tensors, window_origins = windows_as_tensors(windows, part, self.population.flat)
            return self._forecast(tensors, window_origins, ensembles)

        return forecast_recursively(forecast, windows, steps)

    def _covariates(self, panel: Panel, origins: np.ndarray, steps: int) -> np.ndarray:
        """Return covariates [M, T + steps', F] around each origin; steps' is `steps` rounded up to a multiple of S.

        A covariate that is not known ahead keeps its last value before the origin.
        """
        ahead = -(-steps // self.horizon) * self.horizon
        if panel.covariates is None:
            return np.empty((len(origins), self.length + ahead, 0), np.float32)
        rows = np.empty((len(origins), self.length + ahead, self.layout.n_covariates), np.float32)
        for m, (n, origin) in enumerate(zip(panel.series_of(origins - 1), origins, strict=True)):
            begin = int(origin - panel.starts[n]) - self.length
            rows[m, : self.length + steps] = panel.covariates_of(int(n), begin, self.length + steps)
        rows[:, self.length + steps :] = rows[:, self.length + steps - 1 : self.length + steps]
        rows[:, self.length :, self.layout.n_known :] = rows[:, self.length - 1 : self.length, self.layout.n_known :]
        return rows

    def _ensembles(self, panel: Panel, origins: np.ndarray) -> np.ndarray | None:
        """Return the number of the ensemble that forecasts from each origin, int64 [M]; None where one serves all."""
        if not self.layout.ids:
            return None
        numbers = {name: n for n, name in enumerate(self.layout.ids)}
        unseen = [name for name in panel.ids if name not in numbers]
        if unseen:
            raise InputError(
                f"series '{unseen[0]}' has no network of its own: each was trained for one series; train again with "
                "it, or with --fit.scope global"
            )
        return np.array([numbers[name] for name in panel.ids])[panel.series_of(origins - 1)]

    def _forecast(self, tensors: PanelTensors, origins: np.ndarray, ensembles: np.ndarray | None) -> np.ndarray:
        """Return forecasts [M, S] from each origin, by its series' ensemble or by the one for all."""
        forecasts = np.empty((len(origins), self.horizon))  # [M, S]
        combine = np.median if self.spec.fit.combine == "median" else np.mean
        rows, index = self._rows_by_ensemble(origins, ensembles)  # [ensembles, m] each
        size = max(1, MOST_FORECASTS // (self.population.members * self.horizon))
        with small_products(), on_gpu(self.spec.fit):
            for begin in range(0, rows.shape[1], size):
                part = torch.from_numpy(rows[:, begin : begin + size]).to(tensors.values.device)
                if len(rows) > 1:
                    part = part.repeat_interleave(self.spec.fit.members, dim=0)  # [K, m]
                by_member = self.backend.predict(self.population, tensors, part).cpu().numpy()  # [K, m, S]
                by_member = by_member.reshape(len(rows), -1, *by_member.shape[1:])  # [ensembles, members, m, S]
                places = index[:, begin : begin + size]  # [ensembles, m]
                combined = combine(by_member.astype(np.float64), axis=1)  # [ensembles, m, S]
                forecasts[places[places >= 0]] = combined[places >= 0]
        return forecasts

    def _rows_by_ensemble(self, origins: np.ndarray, ensembles: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the origins of each ensemble side by side, and their indices, -1 for padding: [ensembles, m] each."""
        if ensembles is None:
            return origins[None], np.arange(len(origins))[None]
        counts = np.bincount(ensembles, minlength=len(self.layout.ids))  # [ensembles]
        order = np.argsort(ensembles, kind="stable")
        columns = np.arange(len(origins)) - np.repeat(counts.cumsum() - counts, counts)  # [M]
        index = np.full((len(counts), counts.max()), -1)  # [ensembles, m]
        index[ensembles[order], columns] = order
        return np.where(index >= 0, origins[index], origins[:1]), index

    def state(self) -> dict[str, np.ndarray]:
        """Return every member's weights by name, [K, ...] each, and its training scales, [K, 1] each."""
        weights = {
            name: np.array(weight.cpu()) for name, weight in self.population.unflatten(self.population.flat).items()
        }
        return weights | {
            name: np.array(scale.cpu()) for name, scale in self.population.training_scales._asdict().items()
        }

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Restore weights and scales that `state` returned."""
        for name, weight in self.population.unflatten(self.population.flat).items():
            weight.copy_(torch.from_numpy(state[name]))
        for name, scale in self.population.training_scales._asdict().items():
            scale.copy_(torch.from_numpy(state[name]))
        self.has_scales = True

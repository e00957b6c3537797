"""The recurrent forecasters rnn, gru and lstm: a population behind the interface that all networks share."""

from collections.abc import Iterator

import numpy as np
import torch

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

MOST_ANSWERS = 1 << 22
"""Most answers that are held at once, over all members."""
SAMPLE = 1 << 18
"""Values, 2 MiB of them, in the windows that tell what is usual."""


class Recurrent(WindowedNetwork):
    """Networks that read the last T values and answer the next S; of an ensemble's answers, the median or the mean.

    There is one ensemble for all series, or one for each: K networks in all.
    """

    dtype: type[np.floating] = np.float32

    def __init__(self, spec: ModelSpec, device: str = "cpu", layout: Layout = PLAIN):
        check_precision(spec.fit.precision, device)
        self.spec = spec
        self.layout = layout
        self.length, self.horizon = spec.window.length, spec.window.horizon
        self.seeds = [spec.seed + member for member in range(spec.fit.members)] * max(1, len(layout.ids))
        sizes = Sizes(self.length, self.horizon, spec.season, layout.n_covariates, layout.n_known)
        self.population = Population(spec.model, spec.recurrent, sizes, self.seeds, device)
        self.measured = False

    def fit(
        self, panel: Panel, train: np.ndarray, validation: np.ndarray | None, resume: State | None = None
    ) -> Iterator[Epoch]:
        """Train on the origins `train` [M], each network on those of its series; each is left with its best weights.

        Where the network was trained before, it goes on from its weights; with a state to `resume`, from all of that.
        """
        shares = self._shares(panel, train)
        if not self.measured:
            self._measure(panel, shares)
        tensors = tensors_of(panel, self.population.flat)
        held_out = None if validation is None else self._shares(panel, validation)
        with small_products(), on_gpu(self.spec.fit):
            yield from fit(self.population, tensors, shares, held_out, self.spec.fit, self.seeds, resume)

    def _measure(self, panel: Panel, shares: list[np.ndarray]) -> None:
        """What differences are usual in the windows that each network learns from."""
        every = len(self.seeds) // len(shares)
        for first, origins in zip(range(0, len(self.seeds), every), shares, strict=True):
            if len(origins) == 0:  # nothing to learn from: such a network answers its base
                self.population.training_scales.change[first : first + every] = 0
                continue
            drawn = origins[:: -(-len(origins) * (self.length + self.horizon) // SAMPLE)]
            windows = np.concatenate(list(contexts(panel.values, drawn, self.length)))  # [m, T]
            goals = actual_values(panel, drawn, self.horizon)  # [m, S], NaN where nothing was observed
            found = measure_training_scales(
                torch.from_numpy(windows.T), torch.from_numpy(goals), self.spec.recurrent, self.spec.season
            )
            for place, size in zip(self.population.training_scales, found, strict=True):
                place[first : first + every] = size
        self.measured = True

    def _shares(self, panel: Panel, origins: np.ndarray) -> list[np.ndarray]:
        """The origins of each network's series, K arrays; a single one where all share one network."""
        if not self.layout.ids:
            return [origins]
        series = panel.series_of(origins - 1)  # [M]
        bounds = np.searchsorted(series, np.arange(len(panel.ids) + 1))  # the origins are in order
        own = {name: origins[bounds[n] : bounds[n + 1]] for n, name in enumerate(panel.ids)}
        missing = [name for name in self.layout.ids if name not in own]
        if missing:
            raise InputError(f"series '{missing[0]}', which has a network of its own, is not among those to train on")
        return [own[name] for name in self.layout.ids for _ in range(self.spec.fit.members)]

    def predict(self, panel: Panel, origins: np.ndarray) -> np.ndarray:
        """Forecasts [M, S] of the S values from each origin on.

        **Raises:** `InputError` where a series has fewer than T values before an origin.
        """
        refuse_short_past(panel, origins, self.length)
        over = origins + self.horizon > panel.ends[panel.series_of(origins - 1)]  # [M]
        if self.layout.n_known and over.any():  # what is known ahead there stands behind the panel's end
            return self.extend(panel, self.horizon, origins)
        return self._answers(tensors_of(panel, self.population.flat), origins, self._networks(panel, origins))

    def predict_windows(self, windows: np.ndarray) -> np.ndarray:
        """Forecasts [M, S] from windows [M, T] without covariates, by the one network for all series."""
        tensors, origins = windows_as_tensors(windows, np.empty((*windows.shape, 0)), 0, self.population.flat)
        return self._answers(tensors, origins, None)

    def _extend(self, panel: Panel, steps: int, origins: np.ndarray) -> np.ndarray:
        networks, columns = self._networks(panel, origins), self._columns(panel, origins, steps)
        windows = np.concatenate(list(contexts(panel.values, origins, self.length)))  # [M, T]

        def answer(windows: np.ndarray, done: int) -> np.ndarray:
            beside = columns[:, done : done + self.length + self.horizon]  # [M, T + S, F]
            tensors, at = windows_as_tensors(windows, beside, self.layout.n_known, self.population.flat)
            return self._answers(tensors, at, networks)

        return forecast_recursively(answer, windows, steps)

    def _columns(self, panel: Panel, origins: np.ndarray, steps: int) -> np.ndarray:
        """Covariates [M, T + steps', F] about each origin, steps' a multiple of S; no further is told than is known."""
        room = -(-steps // self.horizon) * self.horizon
        if panel.covariates is None:
            return np.empty((len(origins), self.length + room, 0), np.float32)
        found = np.empty((len(origins), self.length + room, self.layout.n_covariates), np.float32)
        for m, (n, origin) in enumerate(zip(panel.series_of(origins - 1), origins, strict=True)):
            begin = int(origin - panel.starts[n]) - self.length
            found[m, : self.length + steps] = panel.covariates_of(int(n), begin, self.length + steps)
        found[:, self.length + steps :] = found[:, self.length + steps - 1 : self.length + steps]
        found[:, self.length :, self.layout.n_known :] = found[:, self.length - 1 : self.length, self.layout.n_known :]
        return found

    def _networks(self, panel: Panel, origins: np.ndarray) -> np.ndarray | None:
        """Which series' network answers each origin, int64 [M]; None where one answers all."""
        if not self.layout.ids:
            return None
        place = {name: n for n, name in enumerate(self.layout.ids)}
        strange = [name for name in panel.ids if name not in place]
        if strange:
            raise InputError(
                f"series '{strange[0]}' has no network of its own: each was trained for one series; train again with "
                "it, or with --fit.scope global"
            )
        return np.array([place[name] for name in panel.ids])[panel.series_of(origins - 1)]

    def _answers(self, tensors: PanelTensors, origins: np.ndarray, networks: np.ndarray | None) -> np.ndarray:
        """Forecasts [M, S] from each origin, by its series' networks or by all."""
        answers = np.empty((len(origins), self.horizon))  # [M, S]
        combine = np.median if self.spec.fit.combine == "median" else np.mean
        rows, index = self._in_rows(origins, networks)  # [R, m], and which of the M origins stands where
        step = max(1, MOST_ANSWERS // (self.population.members * self.horizon))
        with small_products(), on_gpu(self.spec.fit):
            for begin in range(0, rows.shape[1], step):
                part = torch.from_numpy(rows[:, begin : begin + step]).to(tensors.values.device)
                if len(rows) > 1:
                    part = part.repeat_interleave(self.spec.fit.members, dim=0)  # [K, m]
                members = self.population.predict(tensors, part).cpu().numpy()  # [K, m, S]
                members = members.reshape(len(rows), -1, *members.shape[1:])  # [R, K / R, m, S]
                own = index[:, begin : begin + step]
                answers[own[own >= 0]] = combine(members.astype(np.float64), axis=1)[own >= 0]
        return answers

    def _in_rows(self, origins: np.ndarray, networks: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """The origins [R, m] of each series' networks side by side, and their numbers [R, m], -1 where none is."""
        if networks is None:
            return origins[None], np.arange(len(origins))[None]
        counts = np.bincount(networks, minlength=len(self.layout.ids))  # [R]
        order = np.argsort(networks, kind="stable")
        columns = np.arange(len(origins)) - np.repeat(counts.cumsum() - counts, counts)
        index = np.full((len(counts), counts.max()), -1)
        index[networks[order], columns] = order
        return np.where(index >= 0, origins[index], origins[:1]), index

    def state(self) -> dict[str, np.ndarray]:
        """Every member's weights by name, [K, ...] each, and what is usual for it, [K, 1] each."""
        weights = {
            name: np.array(weight.cpu()) for name, weight in self.population.unflatten(self.population.flat).items()
        }
        return weights | {
            name: np.array(size.cpu()) for name, size in self.population.training_scales._asdict().items()
        }

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Put the weights in place that `state` gave."""
        for name, weight in self.population.unflatten(self.population.flat).items():
            weight.copy_(torch.from_numpy(state[name]))
        for name, size in self.population.training_scales._asdict().items():
            size.copy_(torch.from_numpy(state[name]))
        self.measured = True

"""Windows as indices: an origin o stands for the T values before it and the S values from it on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from models.errors import InputError
from models.panel import Panel
from models.specs import SplitSpec

CHUNK = 1 << 20
"""Most values that are gathered at once, 8 MiB of them."""


@dataclass(frozen=True)
class Parts:
    """Where each series' parts end, int64 [N] each: training, then validation, then test."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def split_panel(panel: Panel, spec: SplitSpec) -> Parts:
    """Cut every series in time order. What `train` leaves at the end, where it is given, is unused.

    **Raises:** `InputError` where the parts ask for more points than a series has.
    """
    lengths = panel.ends - panel.starts
    validation = _points(spec.validation, lengths)
    test = _points(spec.test, lengths)
    train = lengths - validation - test if spec.train is None else np.maximum(_points(spec.train, lengths), 1)
    short = np.flatnonzero((train < 1) | (train + validation + test > lengths))
    if len(short):
        n = short[0]
        raise InputError(
            f"series '{panel.ids[n]}' has {lengths[n]} points: too few for a validation part of {validation[n]} and a "
            f"test part of {test[n]} behind a training part of {max(train[n], 1)}; make --split.train, "
            "--split.validation or --split.test smaller"
        )
    first = panel.starts + train
    return Parts(train=first, validation=first + validation, test=first + validation + test)


def _points(share: float, lengths: np.ndarray) -> np.ndarray:
    if share < 1:
        return np.floor(np.round(share * lengths, 6)).astype(np.int64)  # 0.58 of 50 is 29, not 28.999...
    return np.full(len(lengths), min(share, 2**53)).astype(np.int64)


def origins_within(panel: Panel, begin: np.ndarray, end: np.ndarray, length: int, horizon: int) -> np.ndarray:
    """Every origin whose S targets lie in `begin` to `end` of their series, were observed, and have T values before.

    **Arguments:** `begin`, `end`: int64 [N]; `length`: T; `horizon`: S. The T values may reach back behind `begin`.

    **Returns:** integers [M] in order, of 32 bits where these suffice: there may be as many origins as points.
    """
    first = np.maximum(begin, panel.starts + length)
    kind = np.int32 if len(panel.values) < 2**31 else np.int64
    runs = [np.arange(a, b - horizon + 1, dtype=kind) for a, b in zip(first, end, strict=True)]
    origins = runs[0] if len(runs) == 1 else np.concatenate(runs)
    if panel.observed.all():
        return origins
    seen = np.concatenate([[0], np.cumsum(panel.observed)])
    return origins[seen[origins + horizon] - seen[origins] == horizon]


def contexts(values: np.ndarray, origins: np.ndarray, length: int) -> Iterator[np.ndarray]:
    """The T values before each origin, [m, T] a time, in chunks of bounded size."""
    if len(origins) == 0:
        return
    view = sliding_window_view(values, length)  # [P - T + 1, T], no copy
    step = max(1, CHUNK // length)
    for begin in range(0, len(origins), step):
        yield view[origins[begin : begin + step] - length]


def targets(values: np.ndarray, origins: np.ndarray, horizon: int) -> np.ndarray:
    """The S values from each origin on, [M, S]."""
    if len(origins) == 0:
        return np.empty((0, horizon))
    return sliding_window_view(values, horizon)[origins]


def last_windows(panel: Panel, length: int) -> np.ndarray:
    """The last T values of every series, [N, T].

    **Raises:** `InputError` where a series is shorter.
    """
    lengths = panel.ends - panel.starts
    short = np.flatnonzero(lengths < length)
    if len(short):
        n = short[0]
        raise InputError(
            f"series '{panel.ids[n]}' has {lengths[n]} values, but the model reads the last {length}; give more rows"
        )
    return np.concatenate(list(contexts(panel.values, panel.ends, length)))


def recurse(predict: Callable[[np.ndarray], np.ndarray], windows: np.ndarray, steps: int) -> np.ndarray:
    """Feed a model its own forecasts until `steps` are there.

    **Arguments:** `predict` maps [N, T] to [N, S]; `windows` [N, T].

    **Returns:** [N, steps].
    """
    count, length = windows.shape
    path = np.empty((count, length + steps))
    path[:, :length] = windows
    done = length
    while done < path.shape[1]:
        answer = predict(path[:, done - length : done])[:, : path.shape[1] - done]  # [N, S] or what is left
        path[:, done : done + answer.shape[1]] = answer
        done += answer.shape[1]
    return path[:, length:]

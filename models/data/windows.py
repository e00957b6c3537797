"""Windows as indices: an origin o stands for the T values before it and the S values from it on."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from models.data.panel import Panel
from models.errors import InputError

CHUNK = 1 << 20
"""Most values that are gathered at once, 8 MiB of them."""


def origins_within(panel: Panel, begin: np.ndarray, end: np.ndarray, length: int, horizon: int) -> np.ndarray:
    """Every origin whose S targets lie in `begin` to `end` of their series, one of them observed, with T values before.

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
    return origins[seen[origins + horizon] > seen[origins]]


def contexts(values: np.ndarray, origins: np.ndarray, length: int) -> Iterator[np.ndarray]:
    """The T values before each origin, [m, T] a time, in chunks of bounded size."""
    if len(origins) == 0:
        return
    view = sliding_window_view(values, length)  # [P - T + 1, T], no copy
    step = max(1, CHUNK // length)
    for begin in range(0, len(origins), step):
        yield view[origins[begin : begin + step] - length]


def target_windows(values: np.ndarray, origins: np.ndarray, horizon: int) -> np.ndarray:
    """The S values from each origin on, [M, S]."""
    if len(origins) == 0:
        return np.empty((0, horizon))
    return sliding_window_view(values, horizon)[origins]


def actual_values(panel: Panel, origins: np.ndarray, horizon: int, ends: np.ndarray | None = None) -> np.ndarray:
    """The S values from each origin on, [M, S], NaN where none was observed, and from `ends` [N] on."""
    points = origins[:, None] + np.arange(horizon)  # [M, S]
    known = points < (panel.ends if ends is None else ends)[panel.series_of(origins - 1)][:, None]
    points = np.where(known, points, 0)
    return np.where(known & panel.observed[points], panel.values[points], np.nan)


def last_known_step(actual: np.ndarray) -> int:
    """The last of S steps ahead at which any of the values [M, S] is known, from 1 on; 0 where none is."""
    known = np.isfinite(actual).any(axis=0)  # [S]
    return int(np.flatnonzero(known).max(initial=-1)) + 1


def refuse_short_past(panel: Panel, origins: np.ndarray, length: int) -> None:
    """**Raises:** `InputError` where a series has fewer than T values before one of the origins [M]."""
    series = panel.series_of(origins - 1)
    short = np.flatnonzero(origins - panel.starts[series] < length)
    if len(short):
        n = series[short[0]]
        raise InputError(
            f"series '{panel.ids[n]}' has {origins[short[0]] - panel.starts[n]} values, but the model reads the last "
            f"{length}; give more rows"
        )


def forecast_recursively(
    predict: Callable[[np.ndarray, int], np.ndarray], windows: np.ndarray, steps: int
) -> np.ndarray:
    """Feed a model its own forecasts until `steps` are there.

    **Arguments:** `predict` maps [N, T], and how many steps are done, to [N, S]; `windows` [N, T].

    **Returns:** [N, steps].
    """
    count, length = windows.shape
    path = np.empty((count, length + steps))
    path[:, :length] = windows
    done = 0
    while done < steps:
        answer = predict(path[:, done : done + length], done)[:, : steps - done]  # [N, S] or what is left
        path[:, length + done : length + done + answer.shape[1]] = answer
        done += answer.shape[1]
    return path[:, length:]

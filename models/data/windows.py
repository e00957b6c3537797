"""Windows as indices: an origin stands for the T values before it and the S values from it on."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from models.data.panel import Panel
from models.errors import InputError

CHUNK = 1 << 20
"""Most values that are gathered at once: 8 MiB."""


def origins_within(panel: Panel, begin: np.ndarray, end: np.ndarray, length: int, horizon: int) -> np.ndarray:
    """Return every origin with T values before it whose S targets lie in `begin` to `end` and are not all missing.

    **Arguments:** `begin`, `end`: int64 [N], points of each series; `length`: T; `horizon`: S. The T values may come
    from before `begin`, but from the same series.

    **Returns:** integers [M] in ascending order, of 32 bits if possible, since there may be as many origins as points.
    """
    first = np.maximum(begin, panel.starts + length)
    dtype = np.int32 if len(panel.values) < 2**31 else np.int64
    ranges = [np.arange(a, b - horizon + 1, dtype=dtype) for a, b in zip(first, end, strict=True)]
    origins = ranges[0] if len(ranges) == 1 else np.concatenate(ranges)
    if panel.observed.all():
        return origins
    counts = np.concatenate([[0], np.cumsum(panel.observed)])  # [P + 1], observed values before each point
    return origins[counts[origins + horizon] > counts[origins]]


def contexts(values: np.ndarray, origins: np.ndarray, length: int) -> Iterator[np.ndarray]:
    """Yield the T values before each origin, [m, T] at a time, in chunks of bounded size."""
    if len(origins) == 0:
        return
    view = sliding_window_view(values, length)  # [P - T + 1, T], no copy
    step = max(1, CHUNK // length)
    for begin in range(0, len(origins), step):
        yield view[origins[begin : begin + step] - length]  # [m, T]


def target_windows(values: np.ndarray, origins: np.ndarray, horizon: int) -> np.ndarray:
    """Return the S values from each origin on, [M, S]."""
    if len(origins) == 0:
        return np.empty((0, horizon))
    return sliding_window_view(values, horizon)[origins]  # [M, S]


def actual_values(panel: Panel, origins: np.ndarray, horizon: int, ends: np.ndarray | None = None) -> np.ndarray:
    """Return the S values from each origin on, [M, S]: NaN if missing, or at or after the `ends` [N] of the series."""
    points = origins[:, None] + np.arange(horizon)  # [M, S]
    before_end = points < (panel.ends if ends is None else ends)[panel.series_of(origins - 1)][:, None]
    points = np.where(before_end, points, 0)
    return np.where(before_end & panel.observed[points], panel.values[points], np.nan)


def last_known_step(actual: np.ndarray) -> int:
    """Return the last step ahead, from 1 to S, at which any of the values [M, S] is known; 0 where none is."""
    is_known = np.isfinite(actual).any(axis=0)  # [S]
    return int(np.flatnonzero(is_known).max(initial=-1)) + 1


def refuse_short_past(panel: Panel, origins: np.ndarray, length: int) -> None:
    """**Raises:** `InputError` if a series has fewer than T values before one of the origins [M]."""
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
    """Forecast `steps` steps by feeding a model its own forecasts.

    **Arguments:** `predict` maps windows [M, T] and the number of steps already forecast to forecasts [M, S];
    `windows` [M, T].

    **Returns:** forecasts [M, steps].
    """
    count, length = windows.shape
    path = np.empty((count, length + steps))
    path[:, :length] = windows
    done = 0
    while done < steps:
        forecast = predict(path[:, done : done + length], done)[:, : steps - done]  # [M, S], or fewer at the end
        path[:, length + done : length + done + forecast.shape[1]] = forecast
        done += forecast.shape[1]
    return path[:, length:]

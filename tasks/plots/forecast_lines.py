"""The lines of a forecast in one panel."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from tasks.plots.style import BLACK, Array, interval_name, model_and_baselines, numbers


def draw_forecast(
    ax: Axes,
    context_times: Array,
    context: Array,
    times: Array,
    paths: Mapping[str, Array | None],
    low: Array | None = None,
    high: Array | None = None,
    level: float | None = None,
) -> None:
    """Draw forecasts [S] from the last known value of the context on, and a dotted line at the cutoff, its end.

    The first of `paths` is the model, the others are baselines, None for one that this panel lacks. The model's
    interval is a band from `low` [S] to `high` [S].
    """
    context = numbers(context)
    last = np.flatnonzero(np.isfinite(context))[-1:]  # [1], or [0] where nothing is known
    start, single = context[last], len(times) == 1
    joined = {name: None if path is None else np.append(start, numbers(path)) for name, path in paths.items()}
    interval = None
    if low is not None and high is not None:
        tip = start * np.nan if single else start  # to a single step, the band would be too thin a wedge
        interval = np.append(tip, numbers(low)), np.append(tip, numbers(high)), interval_name(level)
    model_and_baselines(ax, np.concatenate([context_times[last], times]), joined, single, interval)
    ax.axvline(context_times[-1], color=BLACK, lw=1, ls=":", label="cutoff")

"""A forecast that ran on its own output, beside the truth."""

import numpy as np
from matplotlib.figure import Figure

from tasks.plots.style import BLACK, BLUE, PALE, Array, digits, finish, line, numbers, panels, time_axis, wrap

NEAR = 100  # steps of a free run seen closely


def free_run(
    model: str,
    context_times: Array,
    context: Array,
    times: Array,
    truth: Array,
    predicted: Array,
    rmse: dict[int, float],
    unit: str = "value",
) -> Figure:
    """A forecast [N] that ran on its own output, beside the truth [N] (NaN: unknown), after the context [C] it read.

    The upper panel has the first 100 steps, a lower one all where there are more; a title has the `rmse` over n steps,
    by n, where a panel has so many; `unit` labels the values. A forecast far outside what is known leaves its panel.
    """
    spans = sorted({min(len(times), NEAR), len(times)})
    figure, axes = panels(len(spans), 1)
    for ax, steps, told in zip(axes[:, 0], spans, [0, *spans], strict=False):
        reach = np.concatenate([context_times[-1:], times[:steps]])
        line(ax, reach, [*context[-1:], *truth[:steps]], PALE, 4, "truth")
        line(ax, reach, [*context[-1:], *predicted[:steps]], BLUE, 1.8, "free-running forecast")
        line(ax, context_times, context, BLACK, 2.2, "context given to the model")
        ax.axvline(context_times[-1], color=BLACK, lw=1, ls=":")
        known = numbers([*context, *truth[:steps]])
        if np.isfinite(known).any() and (spread := np.nanmax(known) - np.nanmin(known)) > 0:
            ax.set_ylim(np.clip(ax.get_ylim(), np.nanmin(known) - 2 * spread, np.nanmax(known) + 2 * spread))
        scores = "".join(f"; RMSE over {n:,} steps: {digits(rmse[n])}" for n in sorted(rmse) if told < n <= steps)
        ax.set_title(f"{'first' if steps < len(times) else 'all'} {steps:,} steps{scores}", loc="left")
        ax.set_ylabel(wrap(unit, 28), parse_math=False)
        time_axis(ax, times, 9)
    return finish(figure, f"{model}: free run on its own forecasts")

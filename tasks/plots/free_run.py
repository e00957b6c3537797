"""A model's free run on its own forecasts, beside the actual values."""

import numpy as np
from matplotlib.figure import Figure

from models.display import format_number
from tasks.plots.style import BLACK, BLUE, PALE, Array, finish, line, numbers, panels, time_axis, wrap

FIRST_STEPS = 100  # of the upper panel


def free_run(
    model: str,
    context_times: Array,
    context: Array,
    times: Array,
    actual: Array,
    predicted: Array,
    rmse: dict[int, float],
    unit: str = "value",
) -> Figure:
    """Draw a free run [S] and the actual values [S] (NaN: unknown), after the values before it, the context.

    The upper panel shows the first 100 steps; a lower one shows all steps if there are more. `rmse` holds the RMSE
    over the first n steps, by n, for the titles. `unit` labels the values. A forecast far outside the range of the
    actual values leaves its panel.
    """
    spans = sorted({min(len(times), FIRST_STEPS), len(times)})
    figure, axes = panels(len(spans), 1)
    for ax, steps, steps_above in zip(axes[:, 0], spans, [0, *spans], strict=False):
        reach = np.concatenate([context_times[-1:], times[:steps]])
        line(ax, reach, [*context[-1:], *actual[:steps]], PALE, 4, "actual")
        line(ax, reach, [*context[-1:], *predicted[:steps]], BLUE, 1.8, "forecast")
        line(ax, context_times, context, BLACK, 2.2, "past values")
        ax.axvline(context_times[-1], color=BLACK, lw=1, ls=":")
        shown = numbers([*context, *actual[:steps]])
        if np.isfinite(shown).any():
            lowest, highest = np.nanmin(shown), np.nanmax(shown)
            if margin := 2 * (highest - lowest):
                ax.set_ylim(np.clip(ax.get_ylim(), lowest - margin, highest + margin))
        scores = "".join(
            f"; RMSE over {n:,} steps: {format_number(rmse[n])}" for n in sorted(rmse) if steps_above < n <= steps
        )
        ax.set_title(f"{'first' if steps < len(times) else 'all'} {steps:,} steps{scores}", loc="left")
        ax.set_ylabel(wrap(unit, 28), parse_math=False)
        time_axis(ax, times, 9)
    return finish(figure, f"{model}: free run on its own forecasts")

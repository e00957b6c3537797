"""What is forecast beyond the end of a series."""

import numpy as np
from matplotlib.figure import Figure

from tasks.plots.style import (
    BLACK,
    Array,
    finish,
    interval_name,
    line,
    model_and_baselines,
    numbers,
    panels,
    time_axis,
    wrap,
)

LONGEST = 1000  # steps shown


def forecast(
    title: str,
    context_times: Array,
    context: Array,
    times: Array,
    forecasts: dict[str, Array],
    unit: str,
    low: Array | None = None,
    high: Array | None = None,
    level: float | None = None,
) -> Figure:
    """The last stretch [C] of a series (NaN: a gap), and what is forecast [H] from its end on, by name.

    The first of `forecasts` is the model, the others are baselines. All begin at the last known value; a dotted line
    marks the cutoff, the end of the series. `unit` labels the values. From `low` [H] to `high` [H] (NaN: a gap) lies
    the model's interval, a band, which holds a share `level` of the values, say 0.9. Of more than 1,000 steps the
    first 1,000 are shown, and the title says so.
    """
    steps, shown = len(times), min(len(times), LONGEST)
    figure, ((ax,),) = panels(1, 1)
    last = np.flatnonzero(np.isfinite(numbers(context)))[-1:]  # [1], or [0] where nothing is known
    reach = np.concatenate([context_times[last], times[:shown]])
    paths = {name: [*context[last], *path[:shown]] for name, path in forecasts.items()}
    interval = None
    if low is not None and high is not None:
        start = context[last] if steps > 1 else last * np.nan  # a wedge to a single step is too thin to see
        interval = [*start, *low[:shown]], [*start, *high[:shown]], interval_name(level)
    line(ax, context_times, context, BLACK, 2.2, "actual")
    model_and_baselines(ax, reach, paths, steps == 1, interval)
    ax.axvline(context_times[-1], color=BLACK, lw=1, ls=":", label="cutoff")
    ax.set_ylabel(wrap(unit, 28), parse_math=False)
    time_axis(ax, times, 9)
    told = f"{steps:,} step{'s' * (steps != 1)} ahead{f', the first {shown:,} shown' if shown < steps else ''}"
    return finish(figure, f"{title}: {told}")

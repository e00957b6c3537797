"""A forecast beyond the end of a series."""

from matplotlib.figure import Figure

from tasks.plots.forecast_lines import draw_forecast
from tasks.plots.style import BLACK, Array, finish, line, panels, time_axis, wrap

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
    """Draw the end of a series, the context (NaN: a gap), and forecasts [S] beyond it by name.

    The first of `forecasts` is the model, the others are baselines. All begin at the last known value; a dotted line
    marks the cutoff, the end of the series. `unit` labels the values. The model's interval, a band from `low` [S] to
    `high` [S] (NaN: a gap), holds a share `level` of the values, such as 0.9. Of more than 1,000 steps the first 1,000
    are shown, and the title says so.
    """
    steps, shown = len(times), min(len(times), LONGEST)
    figure, ((ax,),) = panels(1, 1)
    paths = {name: path[:shown] for name, path in forecasts.items()}
    low, high = (bound if bound is None else bound[:shown] for bound in (low, high))
    line(ax, context_times, context, BLACK, 2.2, "actual")
    draw_forecast(ax, context_times, context, times[:shown], paths, low, high, level)
    ax.set_ylabel(wrap(unit, 28), parse_math=False)
    time_axis(ax, times, 9)
    extent = f"{steps:,} step{'s' * (steps != 1)} ahead{f', the first {shown:,} shown' if shown < steps else ''}"
    return finish(figure, f"{title}: {extent}")

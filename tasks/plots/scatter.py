"""Forecasts one step ahead and actual values as points."""

from matplotlib.figure import Figure

from tasks.plots.style import BLACK, ORANGE, Array, finish, numbers, panels, time_axis


def scatter(model: str, times: Array, actual: Array, predicted: Array) -> Figure:
    """Draw actual values [M] (NaN: missing) as large circles and forecasts [M] as small dots over `times` [M]."""
    figure, ((ax,),) = panels(1, 1)
    ax.scatter(times, numbers(actual), s=140, facecolors="none", edgecolors=BLACK, linewidths=1.5, label="actual")
    ax.scatter(times, numbers(predicted), s=32, color=ORANGE, label="forecast")
    ax.set_ylabel("value")
    time_axis(ax, times, 10)
    return finish(figure, f"{model}: forecasts one step ahead and actual values")

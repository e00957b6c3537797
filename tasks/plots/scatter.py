"""Predicted and actual values as points."""

from matplotlib.figure import Figure

from tasks.plots.style import BLACK, ORANGE, Array, finish, numbers, panels, time_axis


def scatter(model: str, times: Array, actual: Array, predicted: Array) -> Figure:
    """Actual [M] (NaN: missing) and predicted values [M] over `times` [M]: large circles, small dots."""
    figure, ((ax,),) = panels(1, 1)
    ax.scatter(times, numbers(actual), s=140, facecolors="none", edgecolors=BLACK, linewidths=1.5, label="actual")
    ax.scatter(times, numbers(predicted), s=32, color=ORANGE, label="predicted")
    ax.set_ylabel("value")
    time_axis(ax, times, 10)
    return finish(figure, f"{model}: predicted and actual values")

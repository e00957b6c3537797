"""Error by step ahead."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tasks.plots.style import (
    COLOURS,
    DASHES,
    GREY,
    PALE,
    Array,
    entry,
    finish,
    fit_text,
    line,
    log_axis,
    numbers,
    panels,
    time_axis,
)

MANY = 1000  # steps; of more, the lines are thinner
TOP, BOTTOM = 2 / 3, 0.1  # shares of the height of an axis from 0, above or below which lines are squeezed


def error_by_step(title: str, errors: dict[str, Array], models: list[str], unit: str, measure: str = "RMSE") -> Figure:
    """Draw the error [S] at 1 to S steps ahead (NaN: a gap) of `models`, thick and coloured, and of baselines, grey.

    The axis begins at 0, so that twice the height is twice the error. Where all lines would lie in its upper third, it
    begins above 0; where one would lie in its lowest tenth, it is logarithmic. The label says so. `unit` is that of the
    errors. A single step is drawn as dots side by side.
    """
    figure, ((ax,),) = panels(1, 1)
    lines = {name: numbers(values) for name, values in errors.items()}
    baselines = [name for name in lines if name not in models]
    shown = [*(name for name in models if name in lines), *baselines]
    steps = max((len(values) for values in lines.values()), default=0)
    thick, thin = (2.5, 1.5) if steps <= MANY else (1.2, 1.0)
    for place, name in enumerate(shown):
        if name in models:
            cycle, rank = divmod(models.index(name), len(COLOURS))
            colour, dash, mark, width = COLOURS[rank], ["-", *DASHES][cycle % 5], "oPX*p"[cycle % 5], thick
        else:
            cycle, rank = divmod(baselines.index(name), len(DASHES))
            colour, dash, mark, width = (GREY, PALE)[cycle % 2], DASHES[rank], "s^Dv"[rank], thin
        at = np.arange(1.0, len(lines[name]) + 1)  # [S]
        if steps == 1:
            at += (place - (len(shown) - 1) / 2) * min(0.05, 0.9 / len(shown))
        line(ax, at, lines[name], colour, width, entry(name), dash)
        if steps == 1:
            ax.lines[-1].set(marker=mark, markersize=9, linestyle="")
    note = _set_heights(ax, [lines[name] for name in shown if np.isfinite(lines[name]).any()])
    fit_text(ax.yaxis.label, f"{measure} ({unit})" if unit else measure, 28, 0.5 * figure.bbox.height, 3)
    ax.set_ylabel(ax.get_ylabel() + note, parse_math=False)
    time_axis(ax, np.array([1]), 10, "step ahead")
    ax.set_xlim(1 - min(0.5, max(0.02 * steps, 0.25)), steps + max(0.02 * steps, 0.25))
    if steps == 1:
        ax.set(xlim=(0.5, 1.5), xticks=[1])
    return finish(figure, f"{title}: {measure} by step ahead")


def _set_heights(ax: Axes, lines: list[Array]) -> str:
    """Choose limits and scale of the axis so that no line is squeezed; returns a note for its label."""
    if not lines:
        return ""
    lowest, highest = min(np.nanmin(values) for values in lines), max(np.nanmax(values) for values in lines)
    if lowest > 0 and min(np.nanmax(values) for values in lines) < BOTTOM * highest:
        log_axis(ax, lowest, highest)
        return "\n(log scale)"
    if highest > lowest > TOP * highest:
        return "\n(the axis begins above 0)"
    if lowest >= 0:
        ax.set_ylim(0, 1.05 * highest if highest > 0 else 1)
    return ""

"""Some forecasts beside the actual values, in a panel each."""

from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tasks.plots.forecast_lines import draw_forecast
from tasks.plots.style import BLACK, Array, finish, fit_text, line, numbers, panels, time_axis

MARGIN = 4  # how far a panel reaches above and below the known values, in ranges of these


@dataclass(frozen=True)
class Excerpt:
    """A forecast [S] with its interval after some of the past, its context; NaN is a gap, or not known yet."""

    label: str
    context_times: Array
    context: Array
    times: Array
    actual: Array
    forecast: Array
    low: Array | None = None
    high: Array | None = None
    baselines: dict[str, Array] = field(default_factory=dict)


def excerpts(title: str, excerpts: list[Excerpt], model: str, unit: str, level: float | None = None) -> Figure:
    """Draw forecasts of `model` and of baselines beside the actual values, in a panel each with its own axis in `unit`.

    All begin at the last known value; a dotted line marks the cutoff. The interval, a band, holds a share `level` of
    the values, such as 0.9. A forecast further from the known values than four times their range leaves its panel.
    """
    columns = min(2, len(excerpts))
    rows = -(-len(excerpts) // columns)
    figure, axes = panels(rows, columns, height=5.5 if columns == 1 else 2.0 + 2.4 * rows)
    baselines = list(dict.fromkeys(name for excerpt in excerpts for name in excerpt.baselines))
    for ax, excerpt in zip(axes.flat, excerpts, strict=False):
        paths = {model: excerpt.forecast} | {name: excerpt.baselines.get(name) for name in baselines}
        _draw(ax, excerpt, paths, level)
        ax.spines["left"].set_visible(True)
        ax.tick_params(axis="y", length=3.5)
        ax.yaxis.get_major_locator().set_params(nbins=5)
        time_axis(ax, excerpt.times, 9 if columns == 1 else 4)
        heading = ax.set_title("", loc="left", parse_math=False)
        fit_text(heading, excerpt.label, 88 // columns, (0.86 / columns - 0.02) * figure.bbox.width, 2)
    for ax in axes.flat[len(excerpts) :]:
        ax.remove()
    label = figure.supylabel("", fontsize=12, parse_math=False)
    fit_text(label, unit, 28, 0.5 * figure.bbox.height, 3)
    finish(figure, title)
    if engine := figure.get_layout_engine():
        label.set_y(engine.get()["rect"][3] / 2 + 0.3 / figure.get_figheight())  # the middle of the axes
    return figure


def _draw(ax: Axes, excerpt: Excerpt, paths: dict[str, Array | None], level: float | None) -> None:
    times = np.concatenate([excerpt.context_times, excerpt.times])  # [context and S]
    actual = np.append(numbers(excerpt.context), numbers(excerpt.actual))  # [context and S]
    known_points = np.flatnonzero(np.isfinite(actual))
    extent = slice(known_points[0], known_points[-1] + 1) if len(known_points) else slice(0)
    line(ax, times[extent], actual[extent], BLACK, 1.8, "actual")
    draw_forecast(ax, excerpt.context_times, excerpt.context, excerpt.times, paths, excerpt.low, excerpt.high, level)
    if len(known_points) and (known_range := np.ptp(actual[known_points])) > 0:
        lowest, highest = actual[known_points].min(), actual[known_points].max()
        limits = np.clip(ax.dataLim.intervaly, lowest - MARGIN * known_range, highest + MARGIN * known_range)
        ax.set_ylim(*(limits + 0.05 * np.ptp(limits) * np.array([-1, 1])))

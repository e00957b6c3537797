"""Some forecasts beside what came, a panel each."""

from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tasks.plots.style import (
    BLACK,
    Array,
    finish,
    fit,
    interval_name,
    line,
    model_and_baselines,
    numbers,
    panels,
    time_axis,
)

FAR = 4  # ranges of the known values beyond them that a panel shows


@dataclass(frozen=True)
class Excerpt:
    """A forecast [H] with its interval, after the last stretch [C] of the past; NaN is a gap, or not known yet."""

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
    """Forecasts of `model` and of baselines beside what came, a panel each, with an axis of its own in `unit`.

    All begin at the last known value; a dotted line marks the cutoff. The interval, a band, holds a share `level` of
    the values, say 0.9. What is forecast further from the known values than four times their range leaves its panel.
    """
    columns = min(2, len(excerpts))
    rows = -(-len(excerpts) // columns)
    figure, axes = panels(rows, columns, height=5.5 if columns == 1 else 2.0 + 2.4 * rows)
    baselines = list(dict.fromkeys(name for excerpt in excerpts for name in excerpt.baselines))
    for ax, excerpt in zip(axes.flat, excerpts, strict=False):
        _draw(ax, excerpt, model, baselines, interval_name(level))
        ax.spines["left"].set_visible(True)
        ax.tick_params(axis="y", length=3.5)
        ax.yaxis.get_major_locator().set_params(nbins=5)
        time_axis(ax, excerpt.times, 9 if columns == 1 else 4)
        heading = ax.set_title("", loc="left", parse_math=False)
        fit(heading, excerpt.label, 88 // columns, (0.86 / columns - 0.02) * figure.bbox.width, 2)
    for ax in axes.flat[len(excerpts) :]:
        ax.remove()
    label = figure.supylabel("", fontsize=12, parse_math=False)
    fit(label, unit, 28, 0.5 * figure.bbox.height, 3)
    finish(figure, title)
    if engine := figure.get_layout_engine():
        label.set_y(engine.get()["rect"][3] / 2 + 0.3 / figure.get_figheight())  # the middle of the axes
    return figure


def _draw(ax: Axes, excerpt: Excerpt, model: str, baselines: list[str], interval: str) -> None:
    past = numbers(excerpt.context)
    times = np.concatenate([excerpt.context_times, excerpt.times])  # [C + H]
    actual = np.append(past, numbers(excerpt.actual))  # [C + H]
    known = np.flatnonzero(np.isfinite(actual))
    extent = slice(known[0], known[-1] + 1) if len(known) else slice(0)
    last = np.flatnonzero(np.isfinite(past))[-1:]  # [1], or [0] where nothing is known

    def joined(path: Array | None, start: Array = past[last]) -> Array | None:
        return None if path is None else np.append(start, numbers(path))

    start = past[last] if len(excerpt.times) > 1 else last * np.nan  # a wedge to a single step is too thin to see
    low, high = joined(excerpt.low, start), joined(excerpt.high, start)
    line(ax, times[extent], actual[extent], BLACK, 1.8, "actual")
    model_and_baselines(
        ax,
        np.concatenate([excerpt.context_times[last], excerpt.times]),
        {model: joined(excerpt.forecast)} | {name: joined(excerpt.baselines.get(name)) for name in baselines},
        len(excerpt.times) == 1,
        None if low is None or high is None else (low, high, interval),
    )
    ax.axvline(excerpt.context_times[-1], color=BLACK, lw=1, ls=":", label="cutoff")
    if len(known) and (spread := np.ptp(actual[known])) > 0:
        reach = np.clip(ax.dataLim.intervaly, actual[known].min() - FAR * spread, actual[known].max() + FAR * spread)
        ax.set_ylim(*(reach + 0.05 * np.ptp(reach) * np.array([-1, 1])))

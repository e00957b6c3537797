"""The house style: colours, panels, titles and legends, lines, time axes, numbers in words."""

import textwrap
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import DAILY, HOURLY, MINUTELY, MONTHLY, SECONDLY, YEARLY, AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator, ScalarFormatter, StrMethodFormatter

from models.display import printable

Array = npt.NDArray[Any]

# Okabe and Ito's colours, which people with any colour vision can tell apart, and greys.
BLUE, ORANGE, BLACK, GREY, PALE, BAND = "#0072B2", "#D55E00", "#222222", "#6E6E6E", "#ABABAB", "#FDF3DC"
COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#56B4E9", "#E69F00")  # of models side by side
LARGEST = 1e100  # what an axis holds
LONGEST = 300  # characters of a title or a label
HEAD = 2.0  # inches; a figure grows by what its title and legend need beyond them
DASHES = ((0, (6, 2)), (0, (2, 2)), (0, (8, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1)))  # lengths on and off, in widths


def panels(rows: int, columns: int, height: float = 5.5, **options: Any) -> tuple[Figure, Array]:
    """A figure 10 inches wide, and its empty axes [rows, columns] in the house style."""
    figure = Figure(figsize=(10, height), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(color="#DDDDDD", lw=0.8)
        ax.set_axisbelow(True)
        ax.set_xmargin(0.02)
        ax.tick_params(labelsize=11)
        ax.yaxis.set_major_formatter(ScalarFormatter(useOffset=False))
        for text, size in ((ax.yaxis.label, 12), (ax.xaxis.get_offset_text(), 11), (ax.yaxis.get_offset_text(), 11)):
            text.set_size(size)
    for ax in axes[:, 1:].flat:
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0)
    return figure, axes


def finish(figure: Figure, title: str) -> Figure:
    """Put the title, and one legend for all axes, into a head of their own, and fit the axes below it.

    A figure grows by the height of a head of many long names.
    """
    entries: dict[str, Any] = {}
    for ax in figure.axes:
        for handle, name in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(name, handle)
    height = figure.get_figheight()
    text = figure.text(0.012, 1 - 0.1 / height, "", va="top", fontsize=14, weight="bold", parse_math=False)
    fit(text, title, 76, 0.976 * figure.bbox.width)
    top = head = 0.4 + 0.25 * text.get_text().count("\n")  # inches
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0.006, 1 - head / height), "borderaxespad": 0}
    for rows in range(1, len(entries) + 1):
        columns = -(-len(entries) // rows)
        legend = figure.legend(entries.values(), entries.keys(), ncols=columns, fontsize=11, frameon=False, **place)
        for entry in legend.get_texts():
            entry.set_parse_math(False)
        extent = legend.get_window_extent()
        if columns == 1 or extent.x1 <= figure.bbox.x1:
            head += max(0.32, extent.height / figure.dpi)
            break
        legend.remove()
    if head > HEAD:
        height += head - HEAD
        figure.set_figheight(height)
        text.set_y(1 - 0.1 / height)
        for legend in figure.legends:
            legend.set_bbox_to_anchor((0.006, 1 - top / height))
    figure.set_layout_engine("constrained", rect=(0, 0, 1, 1 - head / height))
    return figure


def line(
    ax: Axes,
    times: Array,
    values: Any,
    colour: str,
    width: float,
    label: str | None = None,
    dash: Any = "-",
    dots: bool = False,
) -> None:
    """A line, with dots if asked for and where a point may stand alone."""
    values = numbers(values)
    marker = "o" if dots or len(values) == 1 or np.isnan(values).any() else ""
    look: dict[str, Any] = {"ls": dash, "marker": marker, "ms": width + 3 * (len(values) <= 100), "mew": 0}
    ax.plot(times, values, color=colour, lw=width, label=label, **look)


def band(ax: Axes, times: Array, low: Any, high: Any, label: str) -> None:
    """What lies between `low` and `high`, pale blue; a bar where a point stands alone."""
    low, high = numbers(low), numbers(high)
    known = np.isfinite(low) & np.isfinite(high)
    alone = known & ~np.append(False, known[:-1]) & ~np.append(known[1:], False)
    look: dict[str, Any] = {"color": BLUE, "alpha": 0.2}
    ax.fill_between(times, low, high, where=(known & ~alone).tolist(), lw=0, label=label, **look)
    if alone.any():
        ax.vlines(times[alone], low[alone], high[alone], lw=6, **look)


def model_and_baselines(
    ax: Axes, times: Array, paths: dict[str, Any], dots: bool, interval: tuple[Any, Any, str] | None = None
) -> None:
    """The first of `paths`, the model, is blue and strong; over it lie the others, baselines, grey, thin and dashed.

    None in place of a path stands for a baseline that other axes of the figure have. `interval` is the model's: its
    ends, and its name in the legend.
    """
    for rank, (name, values) in enumerate(paths.items()):
        colour, width, dash = (GREY, 1.5, DASHES[(rank - 1) % len(DASHES)]) if rank else (BLUE, 2.5, "-")
        if values is not None:
            line(ax, times, values, colour, width, entry(name), dash, dots)
        if rank == 0 and interval:
            band(ax, times, *interval)


def interval_name(level: float | None) -> str:
    """0.9 is a 90 % interval."""
    return "interval" if level is None else f"{100 * level:g} % interval"


def entry(name: str) -> str:
    """A name as an entry of a legend, which would leave out one that begins with an underscore."""
    return " " * name.startswith("_") + wrap(name, 40)


def time_axis(ax: Axes, times: Array, most: int, name: str = "time step") -> None:
    """At most about `most` ticks, at calendar dates or at whole numbers, and one label for the figure."""
    if np.issubdtype(times.dtype, np.datetime64):
        limits = {YEARLY: most} | dict.fromkeys((MONTHLY, DAILY, HOURLY, MINUTELY, SECONDLY), max(most, 6))
        locator = AutoDateLocator(minticks=2, maxticks=limits)  # type: ignore[no-untyped-call]
        name, formats = "date", ["%Y", "%b", "%d", "%Hh", ":%M", "%S.%f"]
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator, formats=formats))  # type: ignore[no-untyped-call]
    else:
        ax.xaxis.set_major_locator(MaxNLocator(most, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    ax.figure.supxlabel(name, fontsize=12)


def numbers(values: Any) -> npt.NDArray[np.float64]:
    """Values as floats; what no axis can hold becomes a gap."""
    numbers = np.asarray(values, np.float64)
    return np.where(np.abs(numbers) < LARGEST, numbers, np.nan)


def digits(value: float) -> str:
    """Three significant digits: 0.500, 12,300, 1.23e-12."""
    value = float(f"{value:.3g}")
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e6 or value == 0 else f"{value:#.3g}".rstrip(".")


def wrap(text: str, width: int, most: int | None = None) -> str:
    """Lines of about `width` characters, broken at spaces and underscores where there are any; at most `most` lines."""
    text = printable(text, LONGEST)
    lines = [line.replace("_ ", "_") for line in textwrap.wrap(text.replace("_", "_ "), width)]
    if most is not None and len(lines) > most:
        lines[most - 1 :] = [lines[most - 1][: width - 1].rstrip() + "…"]
    return "\n".join(lines)


def fit(text: Text, words: str, width: int, room: float, most: int | None = None) -> None:
    """Set `words` in lines of `width` characters, or of fewer where they are longer than `room` pixels."""
    text.set_parse_math(False)
    for fewer in range(width, 7, -4):
        text.set_text(wrap(words, fewer, most))
        if max(text.get_window_extent().size) <= room:  # upright texts, too
            break

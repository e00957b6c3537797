"""The style that all figures share: colours, panels, titles, legends, lines and time axes."""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import DAILY, HOURLY, MINUTELY, MONTHLY, SECONDLY, YEARLY, AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogLocator, MaxNLocator, ScalarFormatter, StrMethodFormatter

from models.display import printable

Array = npt.NDArray[Any]

# The colours of Okabe and Ito, which can be told apart with any colour vision, and greys.
BLUE, ORANGE, BLACK, GREY, PALE, BAND = "#0072B2", "#D55E00", "#222222", "#6E6E6E", "#ABABAB", "#FDF3DC"
COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#56B4E9", "#E69F00")  # of several models
LARGEST = 1e100  # larger values cannot be drawn
SHORTEST_CONTEXT = 20  # fewest points that are drawn of the past before a forecast
LONGEST_LABEL = 300  # characters of a title or a label
HEAD = 2.0  # inches; a figure grows where its title and legend need more
DASHES = (
    (0, (6, 2)),
    (0, (2, 2)),
    (0, (8, 2, 1, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
)  # lengths of dashes and gaps, in line widths


def panels(rows: int, columns: int, height: float = 5.5, **options: Any) -> tuple[Figure, Array]:
    """Return a figure 10 inches wide, and its empty axes [rows, columns]."""
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
    """Add the title and one legend for all axes at the top, and fit the axes below them.

    Where many long names need more room, the figure becomes higher.
    """
    entries: dict[str, Any] = {}
    for ax in figure.axes:
        for handle, name in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(name, handle)
    height = figure.get_figheight()
    text = figure.text(0.012, 1 - 0.1 / height, "", va="top", fontsize=14, weight="bold", parse_math=False)
    fit_text(text, title, 76, 0.976 * figure.bbox.width)
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
    """Draw a line; with dots if asked for, and where gaps may leave a point without neighbours."""
    values = numbers(values)
    marker = "o" if dots or len(values) == 1 or np.isnan(values).any() else ""
    look: dict[str, Any] = {"ls": dash, "marker": marker, "ms": width + 3 * (len(values) <= 100), "mew": 0}
    ax.plot(times, values, color=colour, lw=width, label=label, **look)


def band(ax: Axes, times: Array, low: Any, high: Any, label: str) -> None:
    """Fill the area between `low` and `high` in pale blue; a point without neighbours gets a bar."""
    low, high = numbers(low), numbers(high)
    bounded = np.isfinite(low) & np.isfinite(high)
    alone = bounded & ~np.append(False, bounded[:-1]) & ~np.append(bounded[1:], False)
    look: dict[str, Any] = {"color": BLUE, "alpha": 0.2}
    ax.fill_between(times, low, high, where=(bounded & ~alone).tolist(), lw=0, label=label, **look)
    if alone.any():
        ax.vlines(times[alone], low[alone], high[alone], lw=6, **look)


def model_and_baselines(
    ax: Axes, times: Array, paths: dict[str, Any], dots: bool, interval: tuple[Any, Any, str] | None = None
) -> None:
    """Draw the first of `paths`, the model, as a thick blue line, and the others, baselines, thin, grey and dashed.

    A path of None is not drawn, but keeps its dashes for a baseline that only other axes show. `interval` holds the
    model's bounds and their name in the legend.
    """
    for rank, (name, values) in enumerate(paths.items()):
        colour, width, dash = (GREY, 1.5, DASHES[(rank - 1) % len(DASHES)]) if rank else (BLUE, 2.5, "-")
        if values is not None:
            line(ax, times, values, colour, width, entry(name), dash, dots)
        if rank == 0 and interval:
            band(ax, times, *interval)


def interval_name(level: float | None) -> str:
    """Return the name of an interval in the legend: 0.9 gives "90 % interval"."""
    return "interval" if level is None else f"{100 * level:g} % interval"


def entry(name: str) -> str:
    """Return a name for the legend; with a space before an underscore, since matplotlib would hide it."""
    return " " * name.startswith("_") + wrap(name, 40)


def log_axis(ax: Axes, lowest: float, highest: float) -> None:
    """Make the vertical axis logarithmic, with ticks at 1, 2 and 5 of each decade where there are few decades."""
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if highest < 300 * lowest else (1,), numticks=9))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.minorticks_off()


def title_of_first(title: str, ids: Sequence[str]) -> str:
    """Return the title of a figure that shows the first of several series, or the only one."""
    return title if len(ids) == 1 else f"{title}, {ids[0]} (the first of {len(ids)} series)"


def time_axis(ax: Axes, times: Array, most: int, name: str = "time step") -> None:
    """Set about `most` ticks at most, at calendar dates or whole numbers, and one axis label for the figure."""
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
    """Return values as floats; those too large to draw become gaps, NaN."""
    numbers = np.asarray(values, np.float64)
    return np.where(np.abs(numbers) < LARGEST, numbers, np.nan)


def wrap(text: str, width: int, most: int | None = None) -> str:
    """Wrap a text to lines of about `width` characters, at spaces and underscores; cut it after `most` lines."""
    text = printable(text, LONGEST_LABEL)
    lines = [line.replace("_ ", "_") for line in textwrap.wrap(text.replace("_", "_ "), width)]
    if most is not None and len(lines) > most:
        lines[most - 1 :] = [lines[most - 1][: width - 1].rstrip() + "…"]
    return "\n".join(lines)


def fit_text(text: Text, words: str, width: int, room: float, most: int | None = None) -> None:
    """Set the text to `words` in lines of `width` characters, or in shorter lines until it fits into `room` pixels."""
    text.set_parse_math(False)
    for fewer in range(width, 7, -4):
        text.set_text(wrap(words, fewer, most))
        if max(text.get_window_extent().size) <= room:  # the larger side, since a label may be vertical
            break

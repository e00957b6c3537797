"""The figures of a run in one house style. Each function returns a figure of its own, which the caller saves.

There is no pyplot and no global state, so that threads may draw. Mathematical text is off: matplotlib has one parser
for all threads, and names may hold a dollar sign. Times are datetime64 or integers; a NaN is a gap.
"""

import math
import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import DAILY, HOURLY, MINUTELY, MONTHLY, SECONDLY, YEARLY, AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, ScalarFormatter, StrMethodFormatter

Array = npt.NDArray[Any]

# Okabe and Ito's colours, which people with any colour vision can tell apart, and greys.
BLUE, ORANGE, BLACK, GREY, PALE, BAND = "#0072B2", "#D55E00", "#222222", "#6E6E6E", "#ABABAB", "#FDF3DC"
PARTS = {"train": ("training", "white"), "test": ("test", "#E6F2FA")}
PARTS |= dict.fromkeys(("val", "validation"), ("validation", BAND))
METRICS = {
    "train_rmse": "training",
    "val_rmse": "validation",
    "test_rmse": "test",
    "free_run_rmse_100": "free run,\n100 steps",
    "free_run_rmse_1000": "free run,\n1,000 steps",
}
LONGEST, NEAR, LARGEST = 3000, 100, 1e100  # points shown whole; steps of a free run seen closely; what an axis holds


@dataclass(frozen=True)
class PartForecast:
    """Forecasts one step ahead [M] and actual values [M] (NaN: missing) in `train`, `val` (`validation`) or `test`."""

    part: str
    times: Array
    actual: Array
    predicted: Array


def loss_curves(model: str, losses: dict[str, list[float]]) -> Figure:
    """Loss by epoch in training and, where there is one, in validation, with its lowest value marked.

    `losses` has one value an epoch under `train_loss` and `val_loss`. The axis is logarithmic where all losses are
    positive and span more than a decade.
    """
    figure, ((ax,),) = _panels(1, 1)
    for key, name, colour in (("train_loss", "training", BLUE), ("val_loss", "validation", ORANGE)):
        if key in losses:
            _line(ax, np.arange(1, len(losses[key]) + 1), losses[key], colour, 2, name)
    validation = _numbers(losses.get("val_loss", []))
    if np.isfinite(validation).any():
        best = int(np.nanargmin(validation))
        label = f"lowest validation loss: {_digits(validation[best])} in epoch {best + 1:,}"
        ax.plot(best + 1, validation[best], "o", mfc="none", mec=BLACK, mew=2, ms=13, zorder=5, label=label)
    known = [loss for values in losses.values() for loss in values if abs(loss) < LARGEST]
    if known and min(known) > 0 and max(known) > 10 * min(known):
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if max(known) < 300 * min(known) else (1,), numticks=9))
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.minorticks_off()
    ax.set_ylabel("loss (log scale)" if ax.get_yscale() == "log" else "loss")
    _time_axis(ax, np.array([1]), 10, "epoch")
    return _finish(figure, f"{model}: loss by epoch")


def predictions(model: str, parts: list[PartForecast], unit: str) -> Figure:
    """Forecasts one step ahead over the actual values, a column a part in the order given; their errors below.

    `unit` labels the values. Of more than 3,000 points, the last 600 of training and the first 300 of the other parts
    are shown, and the titles say so.
    """
    parts = [part for part in parts if len(part.times)]
    total = sum(len(part.times) for part in parts)
    cuts = [slice(-600, None) if part.part == "train" else slice(300) for part in parts]
    cuts = cuts if total > LONGEST else [slice(None)] * len(parts)
    counts = np.array([len(part.times[cut]) for part, cut in zip(parts, cuts, strict=True)] or [1])
    shares = counts / counts.sum()
    grid = {"height_ratios": [2.4, 1], "width_ratios": np.maximum(shares, 0.3).tolist()}
    figure, axes = _panels(2, len(counts), sharex="col", sharey="row", gridspec_kw=grid)
    for (top, low), part, cut, share in zip(axes.T, parts, cuts, shares, strict=False):
        times, actual, predicted = part.times[cut], _numbers(part.actual[cut]), _numbers(part.predicted[cut])
        _line(top, times, actual, PALE, 4, "actual")
        _line(top, times, predicted, BLUE, 1.5, "predicted")
        _line(low, times, actual - predicted, ORANGE, 1.2)
        low.axhline(0, color=BLACK, lw=1)
        title, tint = PARTS[part.part]
        if len(times) < len(part.times):
            title += f"\n{'last' if part.part == 'train' else 'first'} {len(times):,} of {len(part.times):,}"
        top.set_title(title)
        top.set_facecolor(tint)
        low.set_facecolor(tint)
        _time_axis(low, times, max(4, round(9 * share)))
    axes[0, 0].set_ylabel(_wrap(unit, 28), parse_math=False)
    axes[1, 0].set_ylabel("error: actual\n− predicted")
    extent = f", {counts.sum():,} of {total:,} points" if total > LONGEST else "" if parts else ": there are none"
    return _finish(figure, f"{model}: forecasts one step ahead{extent}")


def free_run(
    model: str,
    context_times: Array,
    context: Array,
    times: Array,
    truth: Array,
    predicted: Array,
    rmse: dict[int, float],
    unit: str = "value",
) -> Figure:
    """A forecast [N] that ran on its own output, beside the truth [N] (NaN: unknown), after the context [C] it read.

    The upper panel has the first 100 steps, a lower one all where there are more; a title has the `rmse` over n steps,
    by n, where a panel has so many; `unit` labels the values. A forecast far outside what is known leaves its panel.
    """
    spans = sorted({min(len(times), NEAR), len(times)})
    figure, axes = _panels(len(spans), 1)
    for ax, steps, told in zip(axes[:, 0], spans, [0, *spans], strict=False):
        reach = np.concatenate([context_times[-1:], times[:steps]])
        _line(ax, reach, [*context[-1:], *truth[:steps]], PALE, 4, "truth")
        _line(ax, reach, [*context[-1:], *predicted[:steps]], BLUE, 1.8, "free-running forecast")
        _line(ax, context_times, context, BLACK, 2.2, "context given to the model")
        ax.axvline(context_times[-1], color=BLACK, lw=1, ls=":")
        known = _numbers([*context, *truth[:steps]])
        if np.isfinite(known).any() and (spread := np.nanmax(known) - np.nanmin(known)) > 0:
            ax.set_ylim(np.clip(ax.get_ylim(), np.nanmin(known) - 2 * spread, np.nanmax(known) + 2 * spread))
        scores = "".join(f"; RMSE over {n:,} steps: {_digits(rmse[n])}" for n in sorted(rmse) if told < n <= steps)
        ax.set_title(f"{'first' if steps < len(times) else 'all'} {steps:,} steps{scores}", loc="left")
        ax.set_ylabel(_wrap(unit, 28), parse_math=False)
        _time_axis(ax, times, 9)
    return _finish(figure, f"{model}: free run on its own forecasts")


def comparison(
    scores: dict[str, dict[str, float]], models: list[str], baselines: list[str], chosen: str | None
) -> Figure:
    """RMSE of models and baselines in the order given: a column for a metric that any has, a dash if one lacks it."""
    names = [*models, *baselines]
    table = {metric: [scores.get(name, {}).get(metric, np.nan) for name in names] for metric in METRICS}
    table = {metric: column for metric, column in table.items() if not np.isnan(column).all()}
    decades = [math.log10(value) for column in table.values() for value in column if 0 < value < LARGEST] or [0.0]
    low = math.floor(min(decades))
    high = max(math.ceil(max(decades)), low + 1)
    figure, axes = _panels(1, max(1, len(table)), height=2.2 + 0.55 * len(names), sharex=True, sharey=True)
    for ax, (metric, column) in zip(axes[0], table.items(), strict=False):
        for row, (name, value) in enumerate(zip(names, column, strict=True)):
            colour, weight = BLUE if name in models else GREY, "bold" if value == np.nanmin(column) else "normal"
            at, frame, side, shift = (0.5, row), ax.get_yaxis_transform(), "center", 0
            if 0 < value < LARGEST:
                ax.plot([value], [row], "o", ms=9, color=colour)
                at, frame, place = (value, row), ax.transData, (math.log10(value) - low) / (high - low)
                side, shift = ("left", -4) if place < 0.3 else ("right", 4) if place > 0.7 else ("center", 0)
            text = ax.annotate("–" if np.isnan(value) else _digits(value), at, (shift, 6), frame, "offset points")
            text.set(ha=side, fontsize=11, color=colour, weight=weight)
            if name == chosen:
                ax.axhspan(row - 0.5, row + 0.5, color=BAND, lw=0, zorder=0)
        ax.set_title(METRICS[metric])
    first, margin = axes[0, 0], 0.08 * (high - low)
    first.set(xscale="log", xlim=(10 ** (low - margin), 10 ** (high + margin)), ylim=(len(names) - 0.5, -0.6))
    first.xaxis.set_major_locator(FixedLocator([10.0**n for n in range(low, high + 1, -(-(high - low) // 2))]))
    first.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    first.minorticks_off()
    labels = [_wrap(name, 20) + ("\n(chosen)" if name == chosen else "") for name in names]
    first.set_yticks(range(len(names)), labels, parse_math=False)
    figure.supxlabel("RMSE in the series' own units (log scale); the lowest of a column is bold", fontsize=12)
    return _finish(figure, "RMSE of models (blue) and baselines (grey): lower is better")


def scatter(model: str, times: Array, actual: Array, predicted: Array) -> Figure:
    """Actual [M] (NaN: missing) and predicted values [M] over `times` [M]: large circles, small dots."""
    figure, ((ax,),) = _panels(1, 1)
    ax.scatter(times, _numbers(actual), s=140, facecolors="none", edgecolors=BLACK, linewidths=1.5, label="actual")
    ax.scatter(times, _numbers(predicted), s=32, color=ORANGE, label="predicted")
    ax.set_ylabel("value")
    _time_axis(ax, times, 10)
    return _finish(figure, f"{model}: predicted and actual values")


def _panels(rows: int, columns: int, height: float = 5.5, **options: Any) -> tuple[Figure, Array]:
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


def _finish(figure: Figure, title: str) -> Figure:
    """Put the title, and the legend of the first axes, into a head of their own, and fit the axes below it."""
    handles, names = figure.axes[0].get_legend_handles_labels()
    text, height = _wrap(title, 76), figure.get_figheight()
    head = 0.4 + 0.25 * text.count("\n")  # inches
    figure.text(0.012, 1 - 0.1 / height, text, va="top", fontsize=14, weight="bold", parse_math=False)
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0.006, 1 - head / height), "borderaxespad": 0}
    if names:
        figure.legend(handles, names, ncols=4, fontsize=11, frameon=False, **place)
    figure.set_layout_engine("constrained", rect=(0, 0, 1, 1 - (head + 0.32 * bool(names)) / height))
    return figure


def _line(ax: Axes, times: Array, values: Any, colour: str, width: float, label: str | None = None) -> None:
    """A line, with dots where a point may stand alone."""
    style = "o-" if len(values := _numbers(values)) == 1 or np.isnan(values).any() else "-"
    ax.plot(times, values, style, color=colour, lw=width, ms=width + 3 * (len(values) <= 100), mew=0, label=label)


def _time_axis(ax: Axes, times: Array, most: int, name: str = "time step") -> None:
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


def _numbers(values: Any) -> npt.NDArray[np.float64]:
    """Values as floats; what no axis can hold becomes a gap."""
    numbers = np.asarray(values, np.float64)
    return np.where(np.abs(numbers) < LARGEST, numbers, np.nan)


def _digits(value: float) -> str:
    """Three significant digits: 0.500, 12,300, 1.23e-12."""
    value = float(f"{value:.3g}")
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e6 or value == 0 else f"{value:#.3g}".rstrip(".")


def _wrap(text: str, width: int) -> str:
    """Lines of about `width` characters, broken at spaces and underscores where there are any."""
    return "\n".join(line.replace("_ ", "_") for line in textwrap.wrap(text.replace("_", "_ "), width))

"""Forecasts one step ahead and their errors, part by part."""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from tasks.plots.style import BAND, BLACK, BLUE, ORANGE, PALE, Array, finish, line, numbers, panels, time_axis, wrap

PARTS = {"train": ("training", "white"), "test": ("test", "#E6F2FA")}
PARTS |= dict.fromkeys(("val", "validation"), ("validation", BAND))
LONGEST = 3000  # points; longer series are shown in extracts


@dataclass(frozen=True)
class PartForecast:
    """Forecasts one step ahead [M] and actual values [M] (NaN: missing) of `train`, `val` (`validation`) or `test`."""

    part: str
    times: Array
    actual: Array
    predicted: Array


def predictions(model: str, parts: list[PartForecast], unit: str) -> Figure:
    """Draw forecasts one step ahead over the actual values, one column for each part, and the errors below.

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
    figure, axes = panels(2, len(counts), sharex="col", sharey="row", gridspec_kw=grid)
    for (top, low), part, cut, share in zip(axes.T, parts, cuts, shares, strict=False):
        times, actual, predicted = part.times[cut], numbers(part.actual[cut]), numbers(part.predicted[cut])
        line(top, times, actual, PALE, 4, "actual")
        line(top, times, predicted, BLUE, 1.5, "forecast")
        line(low, times, actual - predicted, ORANGE, 1.2)
        low.axhline(0, color=BLACK, lw=1)
        title, tint = PARTS[part.part]
        if len(times) < len(part.times):
            title += f"\n{'last' if part.part == 'train' else 'first'} {len(times):,} of {len(part.times):,}"
        top.set_title(title)
        top.set_facecolor(tint)
        low.set_facecolor(tint)
        time_axis(low, times, max(4, round(9 * share)))
    axes[0, 0].set_ylabel(wrap(unit, 28), parse_math=False)
    axes[1, 0].set_ylabel("error: actual\n− forecast")
    extent = f", {counts.sum():,} of {total:,} points" if total > LONGEST else "" if parts else ": there are none"
    return finish(figure, f"{model}: forecasts one step ahead{extent}")

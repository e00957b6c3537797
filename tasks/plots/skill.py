"""The scores of past forecasts over time."""

import itertools
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tasks.plots import style
from tasks.plots.style import BLACK, BLUE, ORANGE, Array, numbers, wrap

MOST_DOTS = 100  # of more scores, only the line is drawn


def skill(
    title: str,
    cutoffs: Array,
    rmse: dict[str, Array],
    bound: float,
    unit: str,
    versions: Sequence[str] | None = None,
) -> Figure:
    """Draw the RMSE of past forecasts by cutoff, and below it the skill over the seasonal naive: 1 - RMSE / its RMSE.

    `rmse` holds the model first, then `seasonal_naive` and perhaps other baselines, in `unit`, with a value for each of
    the `cutoffs`. NaN is a gap, and so is the skill over a baseline without error. Skill below `bound` is orange. Where
    the model's version, one of `versions` for each cutoff, changes, a dotted line marks the middle between two cutoffs;
    it is labelled if there is room.
    """
    figure, ((top,), (low,)) = style.panels(2, 1, height=6.5, sharex=True)
    dots = len(cutoffs) <= MOST_DOTS
    style.model_and_baselines(top, cutoffs, rmse, dots)
    top.axhline(0, color=BLACK, lw=1)
    top.set_ylim(0, None)
    top.set_ylabel(wrap(f"RMSE ({unit})", 20), parse_math=False)
    model, naive = numbers(next(iter(rmse.values()))), numbers(rmse["seasonal_naive"])
    gain = 1 - model / np.where(naive > 0, naive, np.nan)  # [n]
    below = gain < bound
    style.line(low, cutoffs, gain, BLUE, 2.5, dots=dots)
    low.axhline(0, color=BLACK, lw=1, label="as good as the seasonal naive")
    low.axhline(bound, color=ORANGE, lw=1.5, ls="--", label=f"bound: {bound:g}")
    if below.any():
        low.plot(cutoffs[below], gain[below], "o", color=ORANGE, ms=7, mew=0, zorder=3, label="below the bound")
    low.set_ylabel("skill over the\nseasonal naive")
    style.time_axis(low, cutoffs, 9)
    if len(cutoffs) == 1:  # the axis of a single date would span years
        dated = np.issubdtype(cutoffs.dtype, np.datetime64)
        name = np.datetime_as_string(cutoffs[0], "m").replace("T", " ") if dated else f"{cutoffs[0]:,}"
        low.set_xticks(cutoffs, [name])
    if versions is not None:
        _mark_versions(top, low, cutoffs, versions)
    return style.finish(figure, f"{title}: scores of {len(cutoffs):,} past forecast{'s' * (len(cutoffs) != 1)}")


def _mark_versions(top: Axes, low: Axes, cutoffs: Array, versions: Sequence[str]) -> None:
    """Draw dotted lines through both panels where the version changes; where labels would overlap, the newest stays."""
    places: Array = top.convert_xunits(cutoffs)  # type: ignore[no-untyped-call]
    left, right = top.get_xlim()
    room_until = np.inf  # the left end of the label to the right
    for (before, old), (after, new) in reversed([*itertools.pairwise(zip(places, versions, strict=True))]):
        if old != new:
            at, label = (before + after) / 2, wrap(f"version {new}", 24)
            half = 0.006 * min(len(label), 24) * (right - left)  # half of the label's width, roughly
            for ax in (top, low):
                ax.axvline(at, color=BLACK, lw=1, ls=":")
            if at + half < room_until:
                transform = top.get_xaxis_transform()
                top.text(at, 1.02, label, ha="center", va="bottom", fontsize=11, transform=transform, parse_math=False)
                room_until = at - half

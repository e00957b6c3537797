"""RMSE of models and baselines side by side."""

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, StrMethodFormatter

from models.display import format_number
from tasks.plots.style import BAND, BLUE, GREY, LARGEST, finish, panels, wrap

METRICS = {
    "train_rmse": "training",
    "val_rmse": "validation",
    "test_rmse": "test",
    "free_run_rmse_100": "free run,\n100 steps",
    "free_run_rmse_1000": "free run,\n1,000 steps",
}


def comparison(
    scores: dict[str, dict[str, float]], models: list[str], baselines: list[str], chosen: str | None
) -> Figure:
    """Draw the RMSE of models and baselines: a row for each of them, a column for each metric with any score."""
    names = [*models, *baselines]
    table = {metric: [scores.get(name, {}).get(metric, np.nan) for name in names] for metric in METRICS}
    table = {metric: column for metric, column in table.items() if not np.isnan(column).all()}
    decades = [math.log10(value) for column in table.values() for value in column if 0 < value < LARGEST] or [0.0]
    low = math.floor(min(decades))
    high = max(math.ceil(max(decades)), low + 1)
    figure, axes = panels(1, max(1, len(table)), height=2.2 + 0.55 * len(names), sharex=True, sharey=True)
    for ax, (metric, column) in zip(axes[0], table.items(), strict=False):
        for row, (name, value) in enumerate(zip(names, column, strict=True)):
            colour, weight = BLUE if name in models else GREY, "bold" if value == np.nanmin(column) else "normal"
            place, coordinates, side, shift = (0.5, row), ax.get_yaxis_transform(), "center", 0
            if 0 < value < LARGEST:
                ax.plot([value], [row], "o", ms=9, color=colour)
                place, coordinates, share = (value, row), ax.transData, (math.log10(value) - low) / (high - low)
                side, shift = ("left", -4) if share < 0.3 else ("right", 4) if share > 0.7 else ("center", 0)
            text = ax.annotate(format_number(value), place, (shift, 6), coordinates, "offset points")
            text.set(ha=side, fontsize=11, color=colour, weight=weight)
            if name == chosen:
                ax.axhspan(row - 0.5, row + 0.5, color=BAND, lw=0, zorder=0)
        ax.set_title(METRICS[metric])
    first, margin = axes[0, 0], 0.08 * (high - low)
    first.set(xscale="log", xlim=(10 ** (low - margin), 10 ** (high + margin)), ylim=(len(names) - 0.5, -0.6))
    first.xaxis.set_major_locator(FixedLocator([10.0**n for n in range(low, high + 1, -(-(high - low) // 2))]))
    first.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    first.minorticks_off()
    labels = [wrap(name, 20) + ("\n(chosen)" if name == chosen else "") for name in names]
    first.set_yticks(range(len(names)), labels, parse_math=False)
    figure.supxlabel("RMSE in the series' own units (log scale); the lowest in each column is bold", fontsize=12)
    return finish(figure, "RMSE of models (blue) and baselines (grey): lower is better")

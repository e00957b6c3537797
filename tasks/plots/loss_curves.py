"""Loss by epoch."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, StrMethodFormatter

from tasks.plots.style import BLACK, BLUE, LARGEST, ORANGE, digits, finish, line, numbers, panels, time_axis


def loss_curves(model: str, losses: dict[str, list[float]]) -> Figure:
    """Loss by epoch in training and, where there is one, in validation, with its lowest value marked.

    `losses` has one value an epoch under `train_loss` and `val_loss`. The axis is logarithmic where all losses are
    positive and span more than a decade.
    """
    figure, ((ax,),) = panels(1, 1)
    for key, name, colour in (("train_loss", "training", BLUE), ("val_loss", "validation", ORANGE)):
        if key in losses:
            line(ax, np.arange(1, len(losses[key]) + 1), losses[key], colour, 2, name)
    validation = numbers(losses.get("val_loss", []))
    if np.isfinite(validation).any():
        best = int(np.nanargmin(validation))
        label = f"lowest validation loss: {digits(validation[best])} in epoch {best + 1:,}"
        ax.plot(best + 1, validation[best], "o", mfc="none", mec=BLACK, mew=2, ms=13, zorder=5, label=label)
    known = [loss for values in losses.values() for loss in values if abs(loss) < LARGEST]
    if known and min(known) > 0 and max(known) > 10 * min(known):
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if max(known) < 300 * min(known) else (1,), numticks=9))
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.minorticks_off()
    ax.set_ylabel("loss (log scale)" if ax.get_yscale() == "log" else "loss")
    time_axis(ax, np.array([1]), 10, "epoch")
    return finish(figure, f"{model}: loss by epoch")

"""Training and validation loss by epoch."""

import numpy as np
from matplotlib.figure import Figure

from models.display import format_number
from tasks.plots.style import BLACK, BLUE, LARGEST, ORANGE, finish, line, log_axis, numbers, panels, time_axis


def loss_curves(model: str, losses: dict[str, list[float]]) -> Figure:
    """Draw the losses by epoch, one list under `train_loss` and one under `val_loss`; mark the lowest validation loss.

    The axis is logarithmic where all losses are positive and span more than a decade.
    """
    figure, ((ax,),) = panels(1, 1)
    for key, name, colour in (("train_loss", "training", BLUE), ("val_loss", "validation", ORANGE)):
        if key in losses:
            line(ax, np.arange(1, len(losses[key]) + 1), losses[key], colour, 2, name)
    validation = numbers(losses.get("val_loss", []))
    if np.isfinite(validation).any():
        best = int(np.nanargmin(validation))
        label = f"lowest validation loss: {format_number(validation[best])} in epoch {best + 1:,}"
        ax.plot(best + 1, validation[best], "o", mfc="none", mec=BLACK, mew=2, ms=13, zorder=5, label=label)
    finite = [loss for values in losses.values() for loss in values if abs(loss) < LARGEST]
    if finite and min(finite) > 0 and max(finite) > 10 * min(finite):
        log_axis(ax, min(finite), max(finite))
    ax.set_ylabel("loss (log scale)" if ax.get_yscale() == "log" else "loss")
    time_axis(ax, np.array([1]), 10, "epoch")
    return finish(figure, f"{model}: loss by epoch")

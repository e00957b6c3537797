"""The figures of a run in one style. Each function returns a new figure, which the caller saves.

Pyplot and its global state are not used, so that threads may draw. Mathematical text is off: matplotlib shares one
parser among threads, and names may hold a dollar sign. Times are datetime64 or integers; a NaN is a gap.
"""

from tasks.plots.comparison import comparison
from tasks.plots.excerpts import Excerpt, excerpts
from tasks.plots.forecast import forecast
from tasks.plots.free_run import free_run
from tasks.plots.loss_curves import loss_curves
from tasks.plots.predictions import PartForecast, predictions
from tasks.plots.scatter import scatter
from tasks.plots.skill import skill
from tasks.plots.steps import error_by_step

__all__ = [
    "Excerpt",
    "PartForecast",
    "comparison",
    "error_by_step",
    "excerpts",
    "forecast",
    "free_run",
    "loss_curves",
    "predictions",
    "scatter",
    "skill",
]

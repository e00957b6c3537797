"""Which figures a run gets; how one looks is in `plots/`."""

import numpy as np
from matplotlib.figure import Figure
from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks import plots
from tasks.data.preparation import Dataset
from tasks.evaluation import Evaluation, free_run_scores
from tasks.training import Training

SHORTEST_CONTEXT = 20
"""Points shown before a free run, where the model reads fewer."""


@task(task_run_name="plot_model: {training.forecaster.spec.model}", cache_policy=NO_CACHE)
def plot_model(training: Training, evaluation: Evaluation, data: Dataset) -> dict[str, Figure]:
    """The plots of one model, by file name. Of many series, the first is drawn, and the titles say so."""
    model, ids = training.forecaster.spec.model, data.panel.ids
    title = model if len(ids) == 1 else f"{model}, {ids[0]} (the first of {len(ids)} series)"
    parts = _first_series(evaluation, data)
    figures = {
        "loss_curves": plots.loss_curves(model, training.losses),
        "predictions": plots.predictions(title, parts, data.series.unit),
    }
    if model == "elman":
        figures["scatter"] = plots.scatter(title, parts[0].times, parts[0].actual, parts[0].predicted)
    if evaluation.truth.shape[1] > 0:
        figures["free_run"] = _free_run(title, evaluation, data)
    return figures


def _first_series(evaluation: Evaluation, data: Dataset) -> list[plots.PartForecast]:
    """One step ahead, part by part; a value that was filled is a gap."""
    panel, times = data.panel, data.panel.times(0, 0, int(data.panel.ends[0]))
    parts = []
    for part, origins in data.origins.items():
        own = origins <= panel.ends[0] - data.window.horizon  # the first series' points come first
        at = origins[own]
        actual = np.where(panel.observed[at], panel.values[at], np.nan)
        parts.append(plots.PartForecast(part, times[at], actual, evaluation.forecasts[part][own, 0]))
    return parts


def _free_run(title: str, evaluation: Evaluation, data: Dataset) -> Figure:
    """The first series' free run, and as much of the past as the model read."""
    panel, begin, truth, path = data.panel, int(data.free_run[0]), evaluation.truth[0], evaluation.free_run[0]
    shown = min(begin, max(data.window.length, SHORTEST_CONTEXT))
    scores = free_run_scores(evaluation.truth[:1], evaluation.free_run[:1])
    return plots.free_run(
        title,
        panel.times(0, begin - shown, shown),
        panel.values[begin - shown : begin],
        panel.times(0, begin, len(truth)),
        truth,
        path,
        scores,
        data.series.unit,
    )

"""Draw the figures of a trained model; how each looks is defined in `tasks/plots`."""

import numpy as np
from matplotlib.figure import Figure
from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks import plots
from tasks.data.preparation import Dataset
from tasks.evaluation import Evaluation, free_run_scores
from tasks.plots.style import SHORTEST_CONTEXT, title_of_first
from tasks.training import Training


@task(task_run_name="plot_model: {training.forecaster.spec.model}", cache_policy=NO_CACHE)
def plot_model(training: Training, evaluation: Evaluation, data: Dataset) -> dict[str, Figure]:
    """Draw the figures of one model, by file name. Of several series the first is drawn, as the titles say."""
    model, ids = training.forecaster.spec.model, data.panel.ids
    title = title_of_first(model, ids)
    parts = _first_series(evaluation, data)
    figures = {"predictions": plots.predictions(title, parts, data.series.unit)}
    if training.losses:
        figures["loss_curves"] = plots.loss_curves(model, training.losses)
    if model == "elman":
        figures["scatter"] = plots.scatter(title, parts[0].times, parts[0].actual, parts[0].predicted)
    if evaluation.actual.shape[1] > 0:
        figures["free_run"] = _free_run(title, evaluation, data)
    return figures


def _first_series(evaluation: Evaluation, data: Dataset) -> list[plots.PartForecast]:
    """Return the forecasts one step ahead of the first series, part by part; filled values are gaps."""
    panel, times = data.panel, data.panel.times(0, 0, int(data.panel.ends[0]))
    parts = []
    for part, origins in evaluation.origins.items():
        in_first_series = origins < panel.ends[0]  # its points come first in the panel
        points = origins[in_first_series]
        actual = np.where(panel.observed[points], panel.values[points], np.nan)
        predicted = evaluation.forecasts[part][in_first_series, 0]
        parts.append(plots.PartForecast(part, times[points], actual, predicted))
    return parts


def _free_run(title: str, evaluation: Evaluation, data: Dataset) -> Figure:
    """Draw the free run of the first series, after the values that the model read."""
    panel, begin = data.panel, int(data.free_run[0])
    actual, path = evaluation.actual[:1], evaluation.free_run[:1]  # [1, steps] each
    n_shown = min(begin, max(data.window.length, SHORTEST_CONTEXT))
    return plots.free_run(
        title,
        panel.times(0, begin - n_shown, n_shown),
        panel.values[begin - n_shown : begin],
        panel.times(0, begin, actual.shape[1]),
        actual[0],
        path[0],
        free_run_scores(actual, path),
        data.series.unit,
    )

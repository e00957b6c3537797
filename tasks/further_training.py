"""Train a forecaster further: on the validation part after the choice of the epoch, and during a backtest."""

from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from models.data.panel import Panel
from models.data.windows import origins_within
from models.forecaster import Forecaster, build_network
from models.specs import ModelSpec
from tasks.data.preparation import Dataset

FINAL_RATE = 0.3
"""Share of the learning rate with which the validation part is learned."""


def learn_validation_part(forecaster: Forecaster, data: Dataset, device: str) -> Forecaster:
    """Return a forecaster that has learned from training and validation part for about `fit.final_steps` more steps.

    The scaling stays that of the training part. Where weights would no longer be finite, the forecaster stays as it is.
    """
    spec, fit = forecaster.spec, forecaster.spec.fit
    origins = origins_within(
        data.panel, data.panel.starts, data.split.validation, spec.window.length, spec.window.horizon
    )
    of_network = len(origins) if fit.scope == "global" else -(-len(origins) // len(data.panel.ids))
    steps = -(-of_network // fit.batch)  # of one pass over all windows
    passes = {"epochs": max(1, round(fit.final_steps / steps)), "windows": None}
    if steps > fit.final_steps:
        passes = {"epochs": 1, "windows": fit.final_steps * fit.batch}
    final_fit = fit.model_copy(update={**passes, "learning_rate": FINAL_RATE * fit.learning_rate, "patience": None})
    final = further_trained(forecaster, data.panel, origins, spec.model_copy(update={"fit": final_fit}), device)
    is_finite = all(np.isfinite(weight).all() for weight in final.network.state().values())
    return replace(final, spec=spec) if is_finite else forecaster


def further_trained(
    forecaster: Forecaster, panel: Panel, train: np.ndarray, spec: ModelSpec, device: str
) -> Forecaster:
    """Return a forecaster that has learned from the origins `train` [M] with the training settings of `spec`.

    It goes on from the current weights, and keeps its scaling.
    """
    network = build_network(spec, device, forecaster.network.layout)
    network.load(forecaster.network.state())
    with threadpool_limits(1, user_api="blas"):
        for _ in network.fit(forecaster.scaling.scale(panel, network.dtype), train, None):
            pass
    return replace(forecaster, spec=spec, network=network)

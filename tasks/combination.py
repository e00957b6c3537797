"""Combine trained models and the baselines into one model, weighted by how well they did on the validation part."""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE

from models.combined import WEIGHTS, Combined, inverse_error_weights
from models.data.windows import origins_within
from models.forecaster import Forecaster
from models.metrics import rmse
from models.specs import COMBINED, RECURRENT, IntervalSpec, ModelSpec
from tasks.backtest.planning import BacktestPlan
from tasks.resuming.run_state import RunState
from tasks.training import Training, calibrate, fit_model, learns_validation_part

log = logging.getLogger("tidecast")


def with_combined(models: Sequence[str]) -> list[str]:
    """Return the models and, if two or more of them are rnn, gru or lstm, their combination as one more."""
    return [*models, COMBINED] if len(set(models) & set(RECURRENT)) > 1 else list(models)


def fit_or_combine(
    spec: ModelSpec,
    trained: Sequence[Training],
    plan: BacktestPlan,
    intervals: IntervalSpec | None,
    run_id: str,
    device: str,
    run_state: RunState | None,
) -> Training:
    """Train the model of a spec; the combined one is made of those that have been `trained` before."""
    if spec.model == COMBINED:
        return combine_models(trained, plan, intervals)
    return fit_model(spec, plan.data, intervals, run_id, device, run_state)


@task(task_run_name="combine_models", cache_policy=NO_CACHE)
def combine_models(trained: Sequence[Training], plan: BacktestPlan, intervals: IntervalSpec | None) -> Training:
    """Return the weighted mean of rnn, gru, lstm and the baselines as one model, with intervals if any are asked for.

    The weights are inverse to the mean squared errors on the validation part, of which those of each series are
    measured in its own scale. Without a validation part the networks alone count, all the same.
    """
    data, began = plan.data, time.perf_counter()
    trained = [training for training in trained if training.forecaster.spec.model in RECURRENT]
    spec = trained[0].forecaster.spec.model_copy(
        update={"model": COMBINED, "parts": tuple(training.forecaster.spec.model for training in trained)}
    )
    learned = data.origins["train"]
    validated = _combine(spec, [training.validated for training in trained], plan, learned)
    if learns_validation_part(spec, data):
        window = spec.window
        begin, end = data.panel.starts, data.split.validation
        learned = origins_within(data.panel, begin, end, window.length, window.horizon)
    final = _combine(spec, [training.forecaster for training in trained], plan, learned)
    weights = dict[str, float]()
    if "val" in plan.origins:
        errors = _validation_errors(validated, plan)
        weights = dict(zip(errors, inverse_error_weights(errors).tolist(), strict=True))
        for forecaster in (validated, final):
            forecaster.network.load(forecaster.network.state() | {WEIGHTS: np.array([*weights.values()])})
        log.info("combined: %s", ", ".join(f"{100 * weight:.0f} % {name}" for name, weight in weights.items()))
    if intervals:
        final.intervals = calibrate(validated, data, intervals.level, data.steps_with_intervals)
    metrics = {f"weight_{name}": weight for name, weight in weights.items()}
    return Training(final, {}, time.perf_counter() - began, before_validation=validated, weights=metrics)


def _combine(spec: ModelSpec, forecasters: Sequence[Forecaster], plan: BacktestPlan, learned: np.ndarray) -> Forecaster:
    """Combine forecasters that share their scaling; the baselines beside them are fitted to the origins `learned`."""
    network = Combined({each.spec.model: each.network for each in forecasters}, spec)
    network.fit_baselines(forecasters[0].scaling.scale(plan.data.panel, network.dtype), learned)
    return replace(forecasters[0], spec=spec, network=network, intervals=None)


def _validation_errors(combined: Forecaster, plan: BacktestPlan) -> dict[str, float]:
    """Return the mean squared error of each part over the validation part, in the scale of each series."""
    assert isinstance(combined.network, Combined)  # noqa: S101
    rows = plan.whole("val")
    scales = np.nan_to_num(plan.mase_scales, nan=1.0)[plan.series("val")[rows], None]  # [m, 1]
    origins, actual = plan.origins["val"][rows], plan.actual["val"][rows]  # [m] and [m, S]
    scaled = combined.scaling.scale(plan.data.panel, combined.network.dtype, steps=plan.horizon)
    errors = {}
    for name, part in combined.network.parts.items():
        forecasts = part.extend(scaled, plan.horizon, origins)  # [m, S]
        forecasts = combined.scaling.unscale(plan.data.panel, origins, forecasts)  # [m, S]
        errors[name] = rmse(actual / scales, forecasts / scales) ** 2
    return errors

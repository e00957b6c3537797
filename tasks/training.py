"""Train one model, and report its progress."""

import logging
from dataclasses import dataclass, field

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE
from threadpoolctl import threadpool_limits

from models.data.scaling import fit_scaling
from models.data.windows import actual_values, last_known_step, origins_within
from models.errors import InputError
from models.forecaster import Forecaster, build_network, covariate_names_of, layout_of, seasonal_change_scales
from models.intervals import Intervals, fixed_half_widths
from models.specs import RECURRENT, Device, IntervalSpec, ModelSpec
from tasks.data.preparation import Dataset
from tasks.further_training import learn_validation_part
from tasks.progress import progress
from tasks.resuming.run_state import RunState
from tasks.tracking.system_metrics import system_metrics
from tasks.training_history import TrainingHistory

log = logging.getLogger("tidecast")
MOST_ORIGINS = 10_000
"""Most origins whose errors calibrate the intervals; they are evenly spaced."""


@dataclass(frozen=True)
class Training:
    """A trained forecaster, its losses by name and epoch, the seconds it took, and a message where it diverged.

    `before_validation` is the forecaster before it learned from the validation part, if it has: it is scored there.
    `weights` are those of the parts of a combined model, by metric as in `weight_gru`.
    """

    forecaster: Forecaster
    losses: dict[str, list[float]]
    seconds: float
    divergence: str = ""
    before_validation: Forecaster | None = None
    weights: dict[str, float] = field(default_factory=dict)

    @property
    def validated(self) -> Forecaster:
        """The forecaster that has not learned from the validation part."""
        return self.before_validation or self.forecaster


@task(task_run_name="fit_model: {spec.model}", cache_policy=NO_CACHE)
def fit_model(
    spec: ModelSpec,
    data: Dataset,
    intervals: IntervalSpec | None,
    run_id: str,
    device: str,
    run_state: RunState | None = None,
) -> Training:
    """Train a model on the training part, and choose the best epoch by the validation part, if there is one.

    The validation part also gives the forecaster its intervals, where any are asked for. Afterwards the forecaster
    learns from it, if the spec says so. Training resumes from what an interrupted process has left in the `run_state`.
    """
    forecaster = build_forecaster(spec, data, device)
    network, scaled = forecaster.network, forecaster.scaling.scale(data.panel, forecaster.network.dtype)
    history = TrainingHistory(spec, run_id, run_state)
    state = history.resume()
    # One thread for NumPy's products too: they are small, and a second thread waits more than it works.
    with (
        progress(spec.model, spec.training_settings.epochs) as advance,
        system_metrics(run_id, history.seconds),
        threadpool_limits(1, user_api="blas"),
    ):
        for epoch in network.fit(scaled, data.origins["train"], data.origins.get("val"), state):
            advance(epoch.number, history.add(epoch))
        final = learn_validation_part(forecaster, data, device) if learns_validation_part(spec, data) else forecaster
        seconds = history.seconds
    history.finish()
    if history.divergence:
        log.warning("%s", history.divergence)
    if intervals:
        final.intervals = calibrate(forecaster, data, intervals.level, data.steps_with_intervals)
    return Training(final, history.losses, seconds, history.divergence, forecaster)


def learns_validation_part(spec: ModelSpec, data: Dataset) -> bool:
    """Tell whether a model learns from the validation part, after this has chosen the epoch."""
    return spec.training_group == "fit" and spec.fit.final_steps > 0 and "val" in data.origins


def build_forecaster(spec: ModelSpec, data: Dataset, device: str = "cpu") -> Forecaster:
    """Build a forecaster with its initial weights; its scaling and interval scales are fitted on the training part.

    **Raises:** `InputError` if the model cannot do what the spec asks of it.
    """
    scaling = fit_scaling(data.panel, data.split.train, spec.window)
    network = build_network(spec, device, layout_of(spec, data.panel))
    measured = seasonal_change_scales(data.panel, data.split.train, data.season)  # [N]
    scales = dict(zip(data.panel.ids, measured.tolist(), strict=True))
    names, step = covariate_names_of(data.panel), data.panel.step
    return Forecaster(spec, scaling, network, data.series.fill, names, interval_scales=scales, step=step)


def calibrate(forecaster: Forecaster, data: Dataset, level: int, steps: int) -> Intervals | None:
    """Compute intervals for the first `steps` steps ahead from the errors in the validation part.

    A step with fewer than 10 errors has no interval; without any interval, the result is None.
    """
    panel, split = data.panel, data.split
    origins = origins_within(panel, split.train, split.validation, data.window.length, 1)  # [M]
    origins = origins[:: -(-len(origins) // MOST_ORIGINS) or 1]
    actual = actual_values(panel, origins, steps, split.validation)  # [M, steps]
    last = last_known_step(actual)
    if last == 0:
        return None
    scales = np.array([forecaster.interval_scales[name] for name in panel.ids])[panel.series_of(origins - 1)]  # [M]
    half_widths = fixed_half_widths(actual[:, :last], forecaster.extend(panel, last, origins), scales, level)  # [last]
    return None if np.isnan(half_widths).all() else Intervals(level, half_widths)


def choose_device(requested: Device, models: list[str]) -> str:
    """Choose the device to train on: "auto" takes CUDA if there is a device and the models are recurrent.

    **Raises:** `InputError` if CUDA is asked for and there is no device.
    """
    if requested == "cpu" or not set(models) & set(RECURRENT):
        return "cpu"
    import torch  # takes a second to import

    if torch.cuda.is_available():
        return "cuda"
    if requested == "cuda":
        raise InputError(
            "--device cuda: no CUDA device is visible here; use --device cpu or auto, or send the run to a GPU worker"
        )
    return "cpu"

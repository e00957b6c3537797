"""Train one model and report on it as it goes."""

import logging
from dataclasses import dataclass

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE
from threadpoolctl import threadpool_limits

from models.data.scaling import fit_scaling
from models.data.windows import actual_values, origins_within
from models.errors import InputError
from models.forecaster import Forecaster, build_network, covariate_names_of, interval_scales, layout_of
from models.intervals import Intervals, fixed_half_widths
from models.network import State
from models.specs import RECURRENT, Device, IntervalSpec, ModelSpec
from tasks.data.preparation import Dataset
from tasks.progress import progress
from tasks.resuming.checkpoints import Checkpoints
from tasks.resuming.run_state import RunState
from tasks.tracking.curves import Curves
from tasks.tracking.system_metrics import system_metrics
from tasks.training_history import TrainingHistory, describe_divergence, epoch_losses

log = logging.getLogger("tidecast")
MOST_ORIGINS = 10_000
"""Origins whose errors tell the intervals; of more, so many are evenly drawn."""


@dataclass(frozen=True)
class Training:
    """A trained forecaster, its losses by epoch, the seconds that the training took, and whether it diverged."""

    forecaster: Forecaster
    losses: dict[str, list[float]]
    seconds: float
    divergence: str = ""


@task(task_run_name="fit_model: {spec.model}", cache_policy=NO_CACHE)
def fit_model(
    spec: ModelSpec,
    data: Dataset,
    intervals: IntervalSpec | None,
    run_id: str,
    device: str,
    run_state: RunState | None = None,
) -> Training:
    """Train on the training part; the validation part chooses the epoch, where there is a choice.

    It tells the intervals too, where any are wanted. From what a process that was killed left in the `run_state`, it goes
    on.
    """
    forecaster = untrained(spec, data, device)
    network, scaled = forecaster.network, forecaster.scaling.scale(data.panel, forecaster.network.dtype)
    checkpoints = Checkpoints(run_state, spec.model)
    curves = Curves(run_id, checkpoints.journal)
    state = checkpoints.load(len(curves.known))
    history = TrainingHistory.after(state, curves)

    def standing() -> State:
        curves.keep()  # first, so that no checkpoint is ahead of the journal
        return history.state()

    # One thread for NumPy's products too: they are small, and a second thread waits more than it works.
    with (
        progress(spec.model, epochs_of(spec)) as advance,
        system_metrics(run_id, history.before),
        threadpool_limits(1, user_api="blas"),
    ):
        for epoch in network.fit(scaled, data.origins["train"], data.origins.get("val"), state):
            report = epoch_losses(epoch)
            history.add(epoch, report)
            curves.add(epoch.number, report)
            advance(epoch.number, report)
            if checkpoints.is_due():
                checkpoints.save(standing)
        seconds = history.seconds
    curves.flush()
    if history.last:
        checkpoints.save(standing)
    training = Training(forecaster, history.losses, seconds, describe_divergence(spec, history.diverged))
    if training.divergence:
        log.warning("%s", training.divergence)
    if intervals:
        forecaster.intervals = calibrate(forecaster, data, intervals.level, max(spec.window.horizon, data.season))
    return training


def untrained(spec: ModelSpec, data: Dataset, device: str = "cpu") -> Forecaster:
    """A forecaster with its first weights, its scaling and its intervals' units fitted on the training part.

    **Raises:** `InputError` where the model cannot do what is asked of it.
    """
    scaling = fit_scaling(data.panel, data.split.train, spec.window)
    network = build_network(spec, device, layout_of(spec, data.panel))
    scales = dict(zip(data.panel.ids, interval_scales(data.panel, data.split.train, data.season).tolist(), strict=True))
    return Forecaster(spec, scaling, network, data.series.fill, covariate_names_of(data.panel), interval_scales=scales)


def calibrate(forecaster: Forecaster, data: Dataset, level: int, steps: int) -> Intervals | None:
    """Intervals for so many steps ahead, from the errors within the validation part; None where there is none.

    A step whose error was met fewer than 10 times has none either.
    """
    panel, parts = data.panel, data.split
    origins = origins_within(panel, parts.train, parts.validation, data.window.length, 1)
    origins = origins[:: -(-len(origins) // MOST_ORIGINS) or 1]
    actual = actual_values(panel, origins, steps, parts.validation)  # [M, steps]
    reach = int(np.flatnonzero([1, *(~np.isnan(actual)).any(axis=0)]).max())  # the last step whose outcome is known
    units = np.array([forecaster.interval_scales[name] for name in panel.ids])[panel.series_of(origins - 1)]  # [M]
    if reach == 0:
        return None
    sizes = fixed_half_widths(actual[:, :reach], forecaster.extend(panel, reach, origins), units, level)
    return None if np.isnan(sizes).all() else Intervals(level, sizes)


def epochs_of(spec: ModelSpec) -> int:
    """The most epochs that a model trains for."""
    return {"elman": spec.elman.epochs, "numpy_rnn": spec.numpy_rnn.epochs}.get(spec.model, spec.fit.epochs)


def choose_device(asked: Device, models: list[str]) -> str:
    """The device to train on: "auto" takes CUDA where it is; asking for CUDA in vain is an error.

    **Raises:** `InputError` where CUDA is asked for and none is there.
    """
    if asked == "cpu" or not set(models) & set(RECURRENT):
        return "cpu"
    import torch  # a second to import

    if torch.cuda.is_available():
        return "cuda"
    if asked == "cuda":
        raise InputError(
            "--device cuda: no CUDA device is visible here; use --device cpu or auto, or send the run to a GPU worker"
        )
    return "cpu"

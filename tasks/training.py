"""Train one model and report on it as it goes."""

import time
from dataclasses import dataclass

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE
from threadpoolctl import threadpool_limits

from models.errors import InputError
from models.forecaster import Forecaster, build_network
from models.network import Epoch
from models.scaling import UNSCALED, fit_scaling
from models.specs import RECURRENT, Device, ModelSpec
from tasks.preparation import Dataset
from tasks.progress import progress
from tasks.tracking.machine import system_metrics
from tasks.tracking.runs import Curves


@dataclass(frozen=True)
class Training:
    """A trained forecaster, its losses by epoch, and the seconds that the training took."""

    forecaster: Forecaster
    losses: dict[str, list[float]]
    seconds: float


@task(task_run_name="fit_model: {spec.model}", cache_policy=NO_CACHE)
def fit_model(spec: ModelSpec, data: Dataset, run_id: str, device: str) -> Training:
    """Train on the training part; the validation part chooses the epoch where the procedure has such a choice."""
    scaling = fit_scaling(data.panel, data.parts.train) if spec.window.scale == "standard" else UNSCALED
    network = build_network(spec, device)
    scaled = scaling.scale(data.panel, network.dtype)
    curves, losses = Curves(run_id), dict[str, list[float]]()
    began = time.perf_counter()
    # One thread for NumPy's products too: they are small, and a second thread waits more than it works.
    with (
        progress(spec.model, epochs_of(spec)) as advance,
        system_metrics(run_id),
        threadpool_limits(1, user_api="blas"),
    ):
        for epoch in network.fit(scaled, data.origins["train"], data.origins.get("val")):
            report = epoch_losses(epoch)
            for name, loss in report.items():
                losses.setdefault(name, []).append(loss)
            curves.add(epoch.number, report)
            advance(epoch.number, report)
    curves.flush()
    return Training(Forecaster(spec, scaling, network), losses, time.perf_counter() - began)


def epoch_losses(epoch: Epoch) -> dict[str, float]:
    """An epoch's losses under their names in MLflow, the mean over the members."""
    losses = {"train_loss": epoch.train_loss, "val_loss": epoch.val_loss}
    return {name: float(np.mean(loss)) for name, loss in losses.items() if loss is not None}


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

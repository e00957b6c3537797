"""How a training went so far: its losses, its seconds, and which of its members diverged."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from models.network import Epoch, State
from models.specs import ModelSpec
from tasks.tracking.curves import Curves


@dataclass
class TrainingHistory:
    """A training on its way: its losses by epoch, when each member diverged (0: not), and the seconds it took.

    They count from the first start of the training on, without the time in which no process had it in hand.
    """

    losses: dict[str, list[float]]
    diverged: np.ndarray
    before: float
    began: float
    last: Epoch | None = None

    @classmethod
    def after(cls, state: State | None, curves: Curves) -> Self:
        """One that goes on behind a state, or starts."""
        history = cls({}, np.zeros(0, np.int64), 0.0, time.perf_counter())
        if state:
            history.diverged, history.before = state["course.diverged"], float(state["course.seconds"])
            for report in curves.again(int(state["epoch"])):
                history.note(report)
        return history

    @property
    def seconds(self) -> float:
        """How long it took so far."""
        return self.before + time.perf_counter() - self.began

    def note(self, report: Mapping[str, float]) -> None:
        """Append the losses of an epoch."""
        for name, loss in report.items():
            self.losses.setdefault(name, []).append(loss)

    def add(self, epoch: Epoch, report: Mapping[str, float]) -> None:
        """Take notice of an epoch."""
        self.note(report)
        self.last = epoch
        if len(self.diverged) == 0:
            self.diverged = np.zeros(len(epoch.diverged), np.int64)
        self.diverged[epoch.diverged] = epoch.number

    def state(self) -> State:
        """What a checkpoint holds."""
        assert self.last is not None, "no epoch has ended yet"  # noqa: S101
        return self.last.state() | {"course.diverged": self.diverged, "course.seconds": np.array(self.seconds)}


def epoch_losses(epoch: Epoch) -> dict[str, float]:
    """An epoch's losses under their names in MLflow, the mean over the members that have one."""
    losses = {"train_loss": epoch.train_loss, "val_loss": epoch.val_loss}
    finite = {name: loss[np.isfinite(loss)] for name, loss in losses.items() if loss is not None}
    return {name: float(loss.mean()) for name, loss in finite.items() if len(loss)}


def describe_divergence(spec: ModelSpec, diverged: np.ndarray) -> str:
    """Which members diverged, given the epoch of each [K], and what may help; nothing where none did."""
    count = np.count_nonzero(diverged)
    if count == 0:
        return ""
    kind = spec.model if spec.model in ("elman", "numpy_rnn") else "fit"
    who = spec.model if len(diverged) == 1 else f"{spec.model}: {count} of {len(diverged)} members"
    return (
        f"{who} diverged in epoch {diverged[diverged > 0].min()}: its loss was no finite number; the last good weights "
        f"stay, and a --{kind}.learning_rate below {getattr(spec, kind).learning_rate:g} may help"
    )

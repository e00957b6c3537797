"""The history of one training, by epoch: kept on disk and in MLflow, and continued when the training is resumed."""

import numpy as np

from models.network import Epoch, State
from models.specs import ModelSpec
from tasks.resuming.checkpoints import Checkpoints
from tasks.resuming.run_state import RunState
from tasks.timing import Stopwatch
from tasks.tracking.curves import Curves


class TrainingHistory:
    """The losses of a training by epoch, the seconds it took, and the epoch in which each member diverged (0: none).

    Everything goes to the journal before it goes to a checkpoint, so that no checkpoint is ahead of its journal.
    The seconds count from the first start of the training on, without the time between a kill and the restart.
    """

    def __init__(self, spec: ModelSpec, run_id: str, run_state: RunState | None = None):
        self.spec = spec
        self.checkpoints = Checkpoints(run_state, spec.model)
        self.curves = Curves(run_id, self.checkpoints.journal)
        self.losses: dict[str, list[float]] = {}
        self.diverged: np.ndarray = np.zeros(0, np.int64)  # [K], once an epoch has ended
        self.stopwatch = Stopwatch()
        self.last: Epoch | None = None

    @property
    def seconds(self) -> float:
        """Seconds that the training took so far."""
        return self.stopwatch.seconds

    @property
    def divergence(self) -> str:
        """A message that says how many members diverged, and what may help; empty where none did."""
        count = np.count_nonzero(self.diverged)
        if count == 0:
            return ""
        model = self.spec.model
        members = model if len(self.diverged) == 1 else f"{model}: {count} of {len(self.diverged)} members"
        return (
            f"{members} diverged in epoch {self.diverged[self.diverged > 0].min()}: its loss was no finite number; the "
            f"last good weights stay, and a --{self.spec.training_group}.learning_rate below "
            f"{self.spec.training_settings.learning_rate:g} may help"
        )

    def resume(self) -> State | None:
        """Load the last checkpoint and send its losses again; returns its state, or None where training starts anew."""
        state = self.checkpoints.load(len(self.curves.epochs))
        if state is not None:
            self.diverged = state["history.diverged"]
            self.stopwatch = Stopwatch(before=float(state["history.seconds"]))
            for losses in self.curves.resend(int(state["epoch"])):
                self._append(losses)
        return state

    def add(self, epoch: Epoch) -> dict[str, float]:
        """Add an epoch, and write a checkpoint when it is due; returns the epoch's losses by name."""
        losses = mean_losses(epoch)
        self._append(losses)
        self.last = epoch
        if len(self.diverged) == 0:
            self.diverged = np.zeros(len(epoch.diverged), np.int64)  # [K]
        self.diverged[epoch.diverged] = epoch.number
        self.curves.add(epoch.number, losses)
        if self.checkpoints.is_due():
            self.checkpoints.save(self._state)
        return losses

    def finish(self) -> None:
        """Send the remaining losses, and write the last checkpoint."""
        self.curves.flush()
        if self.last:
            self.checkpoints.save(self._state)

    def _append(self, losses: dict[str, float]) -> None:
        for name, loss in losses.items():
            self.losses.setdefault(name, []).append(loss)

    def _state(self) -> State:
        """Return the content of a checkpoint, after writing the journal to disk."""
        assert self.last is not None, "no epoch has ended yet"  # noqa: S101
        self.curves.write_journal()
        history = {"history.diverged": self.diverged, "history.seconds": np.array(self.seconds)}
        return self.last.state() | history


def mean_losses(epoch: Epoch) -> dict[str, float]:
    """Return the losses of an epoch by their names in MLflow: means over the members whose loss is finite."""
    losses = {"train_loss": epoch.train_loss, "val_loss": epoch.val_loss}
    finite = {name: loss[np.isfinite(loss)] for name, loss in losses.items() if loss is not None}
    return {name: float(loss.mean()) for name, loss in finite.items() if len(loss)}

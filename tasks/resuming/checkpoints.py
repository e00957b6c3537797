"""The checkpoints of a training in its run state: written now and then, and read when the run is resumed."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

from models.checkpoints import CheckpointError, read_checkpoint, write_checkpoint
from models.network import State
from tasks.resuming.run_state import RunState

log = logging.getLogger("tidecast")
SHORTEST_PAUSE, WRITING_SHARE = 1.0, 0.05
"""Least seconds between two checkpoints, and the share of the time that writing them may take."""


class Checkpoints:
    """The checkpoints of one model, of which the last is kept; without a run state there are none."""

    def __init__(self, run_state: RunState | None, model: str):
        self.run_state, self.model = run_state, model
        self.path = run_state.folder / f"{model}.checkpoint" if run_state else Path()
        self.journal = run_state.folder / f"{model}.curves" if run_state else None
        self.last_written, self.pause, self.has_failed = time.monotonic(), SHORTEST_PAUSE, False

    def load(self, journal_length: int) -> State | None:
        """Read the last checkpoint; None if there is none. `journal_length` is the number of epochs in the journal.

        A file that is not a whole checkpoint of this training, or is ahead of its journal, is renamed to `.broken` with
        a warning.
        """
        if self.run_state is None or not self.path.exists():
            return None
        try:
            return self._read(journal_length)
        except CheckpointError as error:
            broken = self.path.with_suffix(".broken")
            self.path.replace(broken)
            log.warning("%s: %s; it is set aside as %s, and training starts anew", self.model, error, broken.name)
            return None

    def is_due(self) -> bool:
        """Whether it is time for another checkpoint."""
        return self.run_state is not None and time.monotonic() - self.last_written >= self.pause

    def save(self, make_state: Callable[[], State]) -> None:
        """Write a checkpoint; if the disk refuses it, log a warning once and keep the last one."""
        if self.run_state is None:
            return
        began = time.monotonic()
        try:
            write_checkpoint(self.path, make_state(), self._key())
            if self.has_failed:
                log.warning("%s: checkpoints can be written again", self.model)
            self.has_failed = False
        except OSError as error:
            if not self.has_failed:
                problem = f"no checkpoint can be written to {self.path.parent} ({error.strerror})"
                log.warning("%s: %s; training goes on, and the last good one stays", self.model, problem)
            self.has_failed = True
        self.last_written = time.monotonic()
        self.pause = max(SHORTEST_PAUSE, (self.last_written - began) / WRITING_SHARE)

    def _read(self, journal_length: int) -> State:
        state = read_checkpoint(self.path, self._key())
        if int(state["epoch"]) > journal_length:
            raise CheckpointError(f"{self.path} is ahead of its journal, which holds {journal_length} epochs")
        return state

    def _key(self) -> str:
        return f"{self.run_state.key} {self.model}" if self.run_state else ""

"""The checkpoints of a training in its record: written now and then, and read where the record is taken up again."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

from models.checkpoints import CheckpointError, read_checkpoint, write_checkpoint
from models.network import State
from tasks.resuming.run_state import RunState

log = logging.getLogger("tidecast")
OFTEN, SHARE = 1.0, 0.05
"""Seconds between two checkpoints at least, and the share of the time that writing them may take."""


class Checkpoints:
    """Those of one model; without a record there are none."""

    def __init__(self, run_state: RunState | None, model: str):
        self.run_state, self.model = run_state, model
        self.path = run_state.folder / f"{model}.checkpoint" if run_state else Path()
        self.journal = run_state.folder / f"{model}.curves" if run_state else None
        self.written, self.pause, self.fails = time.monotonic(), OFTEN, False

    def load(self, noted: int) -> State | None:
        """The last one; what is no whole checkpoint of this training's `noted` epochs is set aside, and told."""
        if self.run_state is None or not self.path.exists():
            return None
        try:
            return self._read(noted)
        except CheckpointError as error:
            aside = self.path.with_suffix(".broken")
            self.path.replace(aside)
            log.warning("%s: %s; it is set aside as %s, and training starts anew", self.model, error, aside.name)
            return None

    def is_due(self) -> bool:
        """Whether it is time for another."""
        return self.run_state is not None and time.monotonic() - self.written >= self.pause

    def save(self, state: Callable[[], State]) -> None:
        """Write one; where the disk does not take it, training goes on without, and the last good one stays."""
        if self.run_state is None:
            return
        began = time.monotonic()
        try:
            write_checkpoint(self.path, state(), self._key())
            if self.fails:
                log.warning("%s: checkpoints can be written again", self.model)
            self.fails = False
        except OSError as error:
            if not self.fails:
                told = f"no checkpoint can be written to {self.path.parent} ({error.strerror})"
                log.warning("%s: %s; training goes on, and the last good one stays", self.model, told)
            self.fails = True
        self.written = time.monotonic()
        self.pause = max(OFTEN, (self.written - began) / SHARE)

    def _read(self, noted: int) -> State:
        state = read_checkpoint(self.path, self._key())
        if int(state["epoch"]) > noted:
            raise CheckpointError(f"{self.path} is ahead of its journal, of which {noted} epochs are left")
        return state

    def _key(self) -> str:
        return f"{self.run_state.key} {self.model}" if self.run_state else ""

"""What is to be written to the tracker: in order, by a thread of its own, so that no training ever waits for it.

A tracker that is gone, slow or out of order for a while is tried again until it takes what waits.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from tasks.tracking.errors import TrackerAwayError, is_away, is_overtaken, reason
from tasks.tracking.tracker import tracker

log = logging.getLogger("tidecast")
PATIENCE = 60.0
"""Seconds that the end of a run waits for a tracker that takes nothing, unless `TIDECAST_PATIENCE` says otherwise."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
"""Seconds between two attempts, which double."""
OVERTAKEN = 5
"""How often a write may find that another process was first."""

Write = Callable[[], object]
Answer = TypeVar("Answer")


class Outbox:
    """Writes that wait, first in first out. A write may be tried twice, so it has to come to the same then."""

    def __init__(self) -> None:
        self.waiting: deque[Write] = deque()
        self.changed = threading.Condition()
        self.thread: threading.Thread | None = None
        self.hurry = threading.Event()
        self.taken, self.trouble = 0, ""
        self.refused: Exception | None = None

    def post(self, write: Write) -> None:
        """Have something written soon."""
        with self.changed:
            self.waiting.append(write)
            self.changed.notify_all()
            if self.thread is None or not self.thread.is_alive():
                self.thread = threading.Thread(target=self._work, name="outbox", daemon=True)
                self.thread.start()

    def settle(self, patience: float | None = None) -> float:
        """Wait until all is written; returns the seconds that this took.

        **Raises:** `TrackerAwayError` where nothing was taken for `patience` seconds; what waits is then given up.
        What a write came to, where trying it again is no use.
        """
        began = since = time.monotonic()
        taken, limit = self.taken, patience_seconds() if patience is None else patience
        self.hurry.set()
        with self.changed:
            while self.waiting:
                self.changed.wait(0.1)
                if self.taken > taken:
                    taken, since = self.taken, time.monotonic()
                if self.trouble and time.monotonic() - since > limit:
                    raise self._give_up()
            self.hurry.clear()
            refused, self.refused = self.refused, None
        if refused:
            raise refused
        return time.monotonic() - began

    def ask(self, question: Callable[[], Answer], patience: float | None = None) -> Answer:
        """What the tracker answers, once all is written that waits before; it may be asked twice.

        **Raises:** as `settle` does.
        """
        answers: list[Answer] = []
        self.post(lambda: answers.append(question()))
        self.settle(patience)
        return answers[-1]

    def _give_up(self) -> TrackerAwayError:
        told, self.trouble = self.trouble, ""
        self.waiting.clear()
        self.hurry.clear()
        return TrackerAwayError(f"{tracker()} cannot be used ({told})")

    def _work(self) -> None:
        pause, overtaken = FIRST_PAUSE, 0
        while True:
            with self.changed:
                while not self.waiting:
                    self.changed.wait()
                write = self.waiting[0]
            try:
                write()
            except Exception as error:  # whatever it is, the flow's thread has to know
                if is_overtaken(error) and overtaken < OVERTAKEN:
                    overtaken += 1
                    continue
                if is_away(error):
                    self._note(write, reason(error))
                    self.hurry.wait(pause)
                    if self.hurry.is_set():
                        time.sleep(FIRST_PAUSE)
                    pause = min(2 * pause, LONGEST_PAUSE)
                    continue
                self.refused = self.refused or error
            pause, overtaken = FIRST_PAUSE, 0
            self._take_off(write)

    def _note(self, write: Write, trouble: str) -> None:
        """Say once that the tracker is away."""
        with self.changed:
            if write not in self.waiting:  # it was given up
                return
            if not self.trouble:
                log.warning("%s cannot be used now, and is tried again: %s", tracker(), trouble)
            self.trouble = trouble

    def _take_off(self, write: Write) -> None:
        with self.changed:
            if write in self.waiting:
                self.waiting.remove(write)
                self.taken += 1
            if self.trouble:
                log.warning("%s can be used again", tracker())
                self.trouble = ""
            self.changed.notify_all()


def patience_seconds() -> float:
    """How long the end of a run waits for a tracker that takes nothing."""
    return float(os.environ.get("TIDECAST_PATIENCE", PATIENCE))


OUTBOX = Outbox()
"""That of this process."""

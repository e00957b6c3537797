"""Writes to the tracker, made in order by a thread of their own, so that no training waits for them.

A tracker that is away, slow or broken for a while is tried again until it takes what is waiting.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from tasks.tracking.errors import TrackerAwayError, is_away, is_overtaken, reason

log = logging.getLogger("tidecast")
PATIENCE = 60.0
"""Seconds that the end of a run waits for a tracker that takes nothing, unless `TIDECAST_PATIENCE` says otherwise."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
"""Seconds between two attempts: the pause doubles, up to the longest."""
MOST_OVERTAKEN = 5
"""How often a write is tried again because another process made the same one first."""

Write = Callable[[], object]
Answer = TypeVar("Answer")


class Outbox:
    """A queue of writes, first in first out. A write may be tried twice, so it must have the same effect twice as once.

    `describe` names the tracker in messages.
    """

    def __init__(self, describe: Callable[[], str]) -> None:
        self.describe = describe
        self.waiting: deque[Write] = deque()
        self.changed = threading.Condition()
        self.thread: threading.Thread | None = None
        self.hurry = threading.Event()
        self.taken, self.trouble = 0, ""
        self.refused: Exception | None = None

    def post(self, write: Write) -> None:
        """Queue a write."""
        with self.changed:
            self.waiting.append(write)
            self.changed.notify_all()
            if self.thread is None or not self.thread.is_alive():
                self.thread = threading.Thread(target=self._work, name="outbox", daemon=True)
                self.thread.start()

    def settle(self, patience: float | None = None) -> None:
        """Wait until the queue is empty.

        **Raises:** `TrackerAwayError` if the tracker took nothing for `patience` seconds; the queue is then
        dropped. The error of the first write that the tracker refused for good; the others are written.
        """
        since, taken = time.monotonic(), self.taken
        limit = patience_seconds() if patience is None else patience
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

    def ask(self, question: Callable[[], Answer], patience: float | None = None) -> Answer:
        """Return the answer to a question, once everything before it is written; it may be asked twice.

        **Raises:** as `settle` does.
        """
        answers: list[Answer] = []
        self.post(lambda: answers.append(question()))
        self.settle(patience)
        return answers[-1]

    def _give_up(self) -> TrackerAwayError:
        trouble, self.trouble = self.trouble, ""
        self.waiting.clear()
        self.hurry.clear()
        return TrackerAwayError(f"{self.describe()} cannot be used ({trouble})")

    def _work(self) -> None:
        pause, overtaken = FIRST_PAUSE, 0
        while True:
            with self.changed:
                while not self.waiting:
                    self.changed.wait()
                write = self.waiting[0]
            try:
                write()
            except Exception as error:  # of any kind: `settle` raises it in the flow's thread
                if is_overtaken(error) and overtaken < MOST_OVERTAKEN:
                    overtaken += 1
                    continue
                if is_away(error):
                    self._note_trouble(write, reason(error))
                    self.hurry.wait(pause)
                    if self.hurry.is_set():
                        time.sleep(FIRST_PAUSE)
                    pause = min(2 * pause, LONGEST_PAUSE)
                    continue
                self.refused = self.refused or error
            pause, overtaken = FIRST_PAUSE, 0
            self._take_off(write)

    def _note_trouble(self, write: Write, trouble: str) -> None:
        """Note why the tracker is away, with a warning the first time."""
        with self.changed:
            if write not in self.waiting:  # the queue was dropped
                return
            if not self.trouble:
                log.warning("%s cannot be used now, and is tried again: %s", self.describe(), trouble)
            self.trouble = trouble

    def _take_off(self, write: Write) -> None:
        """Remove a write that was made or refused, and note that the tracker is back."""
        with self.changed:
            if write in self.waiting:
                self.waiting.remove(write)
                self.taken += 1
            if self.trouble:
                log.warning("%s can be used again", self.describe())
                self.trouble = ""
            self.changed.notify_all()


def patience_seconds() -> float:
    """Return for how many seconds the end of a run waits for a tracker that takes nothing."""
    return float(os.environ.get("TIDECAST_PATIENCE", PATIENCE))

"""The steps of time axes: which times follow each other, and after how many of them a series commonly repeats."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from models.errors import InputError

LARGEST_TIME = 2**62
"""Integer times must be smaller in size, so that the distance of two of them is an int64 too."""
FIRST_SECOND, LAST_SECOND = np.datetime64("0001-01-01T00:00:00"), np.datetime64("9999-12-31T23:59:59")
MINUTE, DAY = 60_000_000, 86_400_000_000
"""Microseconds."""
SHORTEST_OF_DAY = 300_000_000
"""The shortest step, in microseconds, whose season is a day: of five minutes."""


class Step(ABC):
    """How the times of an axis follow each other. `str(step)` names it, and `step_names.parse_step` reads that name."""

    @property
    def season(self) -> int:
        """The steps after which such a series commonly repeats; 1 if there is no common season."""
        return 1

    @property
    def is_shorter_than_day(self) -> bool:
        """Whether several steps make a day."""
        return False

    @abstractmethod
    def positions(self, times: np.ndarray) -> np.ndarray:
        """Return how many steps after the first each of the sorted `times` lies: int64, -1 between two steps."""

    @abstractmethod
    def after(self, first: np.generic, counts: np.ndarray) -> np.ndarray:
        """Return the times that lie `counts` steps after `first`; before it, if a count is negative."""

    def times(self, first: np.generic, count: int) -> np.ndarray:
        """Return the `count` times from `first` on, which is included.

        **Raises:** `InputError` if they would leave the range of times.
        """
        if not self._reaches(first, count - 1):
            raise InputError(
                f"no time lies {count - 1} steps of {self} after {first}; "
                "forecast fewer steps, or check the time column"
            )
        return self.after(first, np.arange(count))

    def time_before(self, first: np.generic, count: int) -> np.generic:
        """Return the time that lies `count` steps before `first`.

        **Raises:** `InputError` if that would leave the range of times.
        """
        if not self._reaches(first, -count):
            raise InputError(
                f"no time lies {count} steps of {self} before {first}, where the series would have to begin; "
                "leave short series out with --window.short leave_out"
            )
        time: np.generic = self.after(first, np.array([-count]))[0]
        return time

    def _reaches(self, first: np.generic, count: int) -> bool:
        """Tell whether the time `count` steps after `first` is in the range of times."""
        time = self.after(first, np.array([count]))[0]
        return bool(FIRST_SECOND <= time <= LAST_SECOND)


@dataclass(frozen=True)
class IntegerStep(Step):
    """Integers, each larger than the one before by `length`."""

    length: int

    def __str__(self) -> str:
        return str(self.length)

    def positions(self, times: np.ndarray) -> np.ndarray:
        """See `Step`."""
        return whole_steps(times - times[0], self.length)

    def after(self, first: np.generic, counts: np.ndarray) -> np.ndarray:
        """See `Step`."""
        return np.asarray(np.int64(first) + self.length * counts)

    def _reaches(self, first: np.generic, count: int) -> bool:
        return abs(int(first) + self.length * count) < LARGEST_TIME


ONE = IntegerStep(1)


@dataclass(frozen=True)
class FixedStep(Step):
    """Timestamps, each later than the one before by `length` microseconds."""

    length: int

    def __str__(self) -> str:
        days, rest = divmod(self.length, DAY)
        if rest:
            return str(to_offset(pd.Timedelta(self.length, "us")).freqstr)
        return "D" if days == 1 else f"{days}D"

    @property
    def is_shorter_than_day(self) -> bool:
        """Whether several steps make a day."""
        return self.length < DAY

    @property
    def season(self) -> int:
        """A day of steps from five minutes on, a week of days, and a year of weeks."""
        if SHORTEST_OF_DAY <= self.length < DAY:
            return DAY // self.length if DAY % self.length == 0 else 1
        return {DAY: 7, 7 * DAY: 52}.get(self.length, 1)

    def positions(self, times: np.ndarray) -> np.ndarray:
        """See `Step`."""
        return whole_steps((times - times[0]).astype(np.int64), self.length)

    def after(self, first: np.generic, counts: np.ndarray) -> np.ndarray:
        """See `Step`."""
        return np.asarray(first + (self.length * counts).astype("timedelta64[us]"))

    def _reaches(self, first: np.generic, count: int) -> bool:
        return abs(self.length * count) < LARGEST_TIME and super()._reaches(first, count)


def whole_steps(distances: np.ndarray, length: int) -> np.ndarray:
    """Return the distances in whole lengths, int64; -1 where there is a rest."""
    whole, rest = np.divmod(distances.astype(np.int64), length)
    return np.where(rest == 0, whole, -1)

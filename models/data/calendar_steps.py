"""Steps of the calendar: months, some days of every week, and some hours of every day."""

from dataclasses import dataclass

import numpy as np

from models.data.steps import MINUTE, FixedStep, Step, whole_steps

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
BUSINESS_DAYS = (True,) * 5 + (False,) * 2
MONTH_DAYS: dict[str | int, str] = {"first": "MS", "last": "ME", "first business": "BMS", "last business": "BME"}
"""Names of the days of a month, as in pandas."""


@dataclass(frozen=True)
class MonthStep(Step):
    """The same day of every `months`-th month, at one time of day.

    `day` is "first", "last", "first business" or "last business", or the number of the day, from 2 to 28.
    """

    months: int
    day: str | int

    def __str__(self) -> str:
        unit = MONTH_DAYS.get(self.day, f"MS+{int(self.day) - 1}D" if isinstance(self.day, int) else "")
        return unit if self.months == 1 else f"{self.months}{unit}"

    @property
    def season(self) -> int:
        """A year."""
        return 12 // self.months if 12 % self.months == 0 else 1

    def positions(self, times: np.ndarray) -> np.ndarray:
        """See `Step`."""
        days = times.astype("datetime64[D]")
        months = days.astype("datetime64[M]")
        positions = whole_steps((months - months[0]).astype(np.int64), self.months)
        is_on_grid = (self._days(months) == days) & (times - days == times[0] - days[0])
        return np.where(is_on_grid, positions, -1)

    def after(self, first: np.generic, counts: np.ndarray) -> np.ndarray:
        """See `Step`."""
        day, since_midnight = _split(first)
        return np.asarray(self._days(day.astype("datetime64[M]") + self.months * counts) + since_midnight)

    def _days(self, months: np.ndarray) -> np.ndarray:
        """Return the day of each month, datetime64[D]."""
        first, last = months.astype("datetime64[D]"), (months + 1).astype("datetime64[D]") - 1
        if self.day == "first":
            return np.asarray(first)
        if self.day == "last":
            return np.asarray(last)
        if self.day == "first business":
            return np.asarray(np.busday_offset(first, 0, roll="forward"))
        if self.day == "last business":
            return np.asarray(np.busday_offset(last, 0, roll="backward"))
        return np.asarray(first + (int(self.day) - 1))

    def _reaches(self, first: np.generic, count: int) -> bool:
        return self.months * abs(count) < 120_000 and super()._reaches(first, count)


@dataclass(frozen=True)
class WeekdayStep(Step):
    """The days of a week that `weekdays` [7] marks, from Monday on, at one time of day."""

    weekdays: tuple[bool, ...]

    def __str__(self) -> str:
        return "B" if self.weekdays == BUSINESS_DAYS else _name_weekdays(self.weekdays)

    @property
    def season(self) -> int:
        """A week."""
        return sum(self.weekdays)

    def positions(self, times: np.ndarray) -> np.ndarray:
        """See `Step`."""
        days = times.astype("datetime64[D]")
        positions = np.busday_count(days[0], days, weekmask=self.weekdays)
        is_on_grid = np.is_busday(days, weekmask=self.weekdays) & (times - days == times[0] - days[0])
        return np.where(is_on_grid, positions, -1)

    def after(self, first: np.generic, counts: np.ndarray) -> np.ndarray:
        """See `Step`."""
        day, since_midnight = _split(first)
        return np.asarray(np.busday_offset(day, counts, weekmask=self.weekdays) + since_midnight)

    def _reaches(self, first: np.generic, count: int) -> bool:
        return abs(count) < 4_000_000 and super()._reaches(first, count)


@dataclass(frozen=True)
class SessionStep(Step):
    """Equal steps of `length` microseconds inside the sessions of some weekdays, such as the hours of a market.

    `opening` and `closing` are the first and the last time of a session, in microseconds since midnight.
    """

    weekdays: tuple[bool, ...]
    opening: int
    closing: int
    length: int

    def __str__(self) -> str:
        days = "" if all(self.weekdays) else f"{WeekdayStep(self.weekdays)} "
        return f"{days}{_clock(self.opening)}-{_clock(self.closing)}/{FixedStep(self.length)}"

    @property
    def is_shorter_than_day(self) -> bool:
        """See `Step`."""
        return True

    @property
    def season(self) -> int:
        """A session."""
        return (self.closing - self.opening) // self.length + 1

    def positions(self, times: np.ndarray) -> np.ndarray:
        """See `Step`."""
        days = times.astype("datetime64[D]")
        since_opening = (times - days).astype(np.int64) - self.opening
        in_session = whole_steps(since_opening, self.length)
        session = np.busday_count(days[0], days, weekmask=self.weekdays)
        is_inside = (in_session >= 0) & (in_session < self.season)
        is_on_grid = np.is_busday(days, weekmask=self.weekdays) & is_inside
        return np.where(is_on_grid, session * self.season + in_session - in_session[0], -1)

    def after(self, first: np.generic, counts: np.ndarray) -> np.ndarray:
        """See `Step`."""
        day, since_midnight = _split(first)
        index = (since_midnight.astype(np.int64) - self.opening) // self.length + counts
        days = np.busday_offset(day, index // self.season, weekmask=self.weekdays)
        of_day = self.opening + index % self.season * self.length
        return np.asarray(days + of_day.astype("timedelta64[us]"))

    def _reaches(self, first: np.generic, count: int) -> bool:
        return abs(count) < 4_000_000 * self.season and super()._reaches(first, count)


def _name_weekdays(weekdays: tuple[bool, ...]) -> str:
    """Name the days of a week: as "Mon-Sat" if they follow each other, otherwise as "Mon,Wed,Fri"."""
    marked = [n for n in range(7) if weekdays[n]]
    if len(marked) > 2 and marked[-1] - marked[0] == len(marked) - 1:
        return f"{WEEKDAYS[marked[0]]}-{WEEKDAYS[marked[-1]]}"
    return ",".join(WEEKDAYS[n] for n in marked)


def _split(time: np.generic) -> tuple[np.ndarray, np.ndarray]:
    """Return the day [] and the time since midnight [] of a timestamp."""
    moment = np.asarray(time)
    day = moment.astype("datetime64[D]")
    return day, np.asarray(moment - day)


def _clock(microseconds: int) -> str:
    """Name a time of day in minutes, as 09:30."""
    return "{:02d}:{:02d}".format(*divmod(microseconds // MINUTE, 60))

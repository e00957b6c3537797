"""Find a step by its name."""

import re

import pandas as pd
from pandas.tseries.frequencies import to_offset

from models.data.calendar_steps import BUSINESS_DAYS, MONTH_DAYS, WEEKDAYS, MonthStep, SessionStep, WeekdayStep
from models.data.steps import DAY, MINUTE, FixedStep, IntegerStep, Step
from models.errors import InputError

EXAMPLES = "D, 15min, 7D, MS, ME, BME, MS+14D (the 15th), 3MS, B, Mon-Sat, B 09:30-15:30/1h, or a whole number"


def parse_step(name: str) -> Step:
    """Return the step of a name: as `str` gives it, or as pandas names one.

    **Raises:** `InputError` if there is no such step.
    """
    text = name.strip()
    step = (
        _parse_integer(text)
        or _parse_session(text)
        or _parse_weekdays(text)
        or _parse_month(text)
        or _parse_offset(text)
    )
    if step is None:
        raise InputError(f"there is no step '{name}'; give one such as {EXAMPLES}")
    return step


def _parse_integer(text: str) -> Step | None:
    return IntegerStep(int(text)) if re.fullmatch(r"\d{1,18}", text) and int(text) else None


def _parse_session(text: str) -> Step | None:
    session = re.fullmatch(r"(?:(\S+) )?(\d\d):(\d\d)-(\d\d):(\d\d)/(\S+)", text)
    if not session:
        return None
    days, *clock, inner = session.groups()
    opening, closing = (MINUTE * (60 * int(hour) + int(minute)) for hour, minute in (clock[:2], clock[2:]))
    week, length = _parse_weekdays(days or "Mon-Sun"), _parse_offset(inner)
    if not (isinstance(week, WeekdayStep) and isinstance(length, FixedStep) and opening < closing < DAY):
        return None
    is_whole = (closing - opening) % length.length == 0
    return SessionStep(week.weekdays, opening, closing, length.length) if is_whole else None


def _parse_month(text: str) -> Step | None:
    month = re.fullmatch(r"([1-9]\d{0,2})?(MS|ME|BMS|BME)(?:\+(\d{1,2})D)?", text)
    if not month:
        return None
    months, unit, days = month.groups()
    day: str | int = next(day for day, alias in MONTH_DAYS.items() if alias == unit)
    if days:
        return MonthStep(int(months or 1), int(days) + 1) if unit == "MS" and 0 < int(days) < 28 else None
    return MonthStep(int(months or 1), day)


def _parse_offset(text: str) -> Step | None:
    """Return the step that pandas calls so; None if it knows none, or one that is not supported here."""
    try:
        offset = to_offset(text)
    except ValueError:
        return None
    if offset is None or offset.n < 1:
        return None
    unit, n = offset.name.split("-")[0], offset.n
    if unit == "B":
        return WeekdayStep(BUSINESS_DAYS) if n == 1 else None
    if unit == "W":
        return FixedStep(7 * DAY * n)
    for months, prefix in ((3, "Q"), (12, "Y")):
        if unit.removeprefix("B") in (f"{prefix}S", f"{prefix}E"):
            business = " business" if unit.startswith("B") else ""
            return MonthStep(months * n, ("first" if unit.endswith("S") else "last") + business)
    try:
        length = pd.Timedelta(n, "D") if unit == "D" else pd.Timedelta(offset)  # type: ignore[arg-type]  # refuses months
    except ValueError:
        return None
    microseconds = length // pd.Timedelta(1, "us")
    return FixedStep(int(microseconds)) if microseconds >= 1 else None


def _parse_weekdays(text: str) -> Step | None:
    if text == "B":
        return WeekdayStep(BUSINESS_DAYS)
    names = text.title().replace("-", ",").split(",")
    if not set(names) <= set(WEEKDAYS) or len(names) < 2:
        return None
    numbers = [WEEKDAYS.index(name) for name in names]
    if "-" in text:
        if len(numbers) != 2 or numbers[0] >= numbers[1]:
            return None
        numbers = list(range(numbers[0], numbers[1] + 1))
    return WeekdayStep(tuple(n in numbers for n in range(7)))

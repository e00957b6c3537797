"""What a calendar tells of a timestamp: where it stands in its hour, day, week, month and year."""

from collections.abc import Callable, Sequence

import numpy as np

from models.errors import InputError

MONDAY = 3
"""Weekday of the first of January 1970, a Thursday, counted from Monday."""


def calendar_covariates(times: np.ndarray, moments: Sequence[str]) -> np.ndarray:
    """Sine and cosine of where each time stands in its hour, day, week, month or year: float32 [P, 2 * moments].

    **Arguments:** `times`, datetime64 [P]; `moments`, where "minute" stands for the hour, "hour" for the day (both go
    on between their strokes), "weekday" for the week from Monday on, "day" for the month by its own length (both in
    whole days), and "month" for the year from January on, in whole months.

    **Raises:** `InputError` where the times are integers.
    """
    if moments and times.dtype.kind != "M":
        raise InputError(f"--window.calendar {','.join(moments)} needs timestamps, but the times are integers")
    columns = np.empty((len(times), 2 * len(moments)), np.float32)
    for n, moment in enumerate(moments):
        angle = 2 * np.pi * SHARES[moment](times)  # [P]
        columns[:, 2 * n] = np.sin(angle)
        columns[:, 2 * n + 1] = np.cos(angle)
    return columns


def calendar_names(moments: Sequence[str]) -> tuple[str, ...]:
    """The columns' names, such as "hour_sin" and "hour_cos"."""
    return tuple(f"{moment}_{wave}" for moment in moments for wave in ("sin", "cos"))


def _of_the_hour(times: np.ndarray) -> np.ndarray:
    return (times - times.astype("datetime64[h]")) / np.timedelta64(1, "h")


def _of_the_day(times: np.ndarray) -> np.ndarray:
    return (times - times.astype("datetime64[D]")) / np.timedelta64(1, "D")


def _of_the_week(times: np.ndarray) -> np.ndarray:
    return (times.astype("datetime64[D]").astype(np.int64) + MONDAY) % 7 / 7


def _of_the_month(times: np.ndarray) -> np.ndarray:
    months = times.astype("datetime64[M]")
    first, next_first = months.astype("datetime64[D]"), (months + 1).astype("datetime64[D]")
    return (times.astype("datetime64[D]") - first) / (next_first - first)


def _of_the_year(times: np.ndarray) -> np.ndarray:
    return times.astype("datetime64[M]").astype(np.int64) % 12 / 12


SHARES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "minute": _of_the_hour,
    "hour": _of_the_day,
    "weekday": _of_the_week,
    "day": _of_the_month,
    "month": _of_the_year,
}

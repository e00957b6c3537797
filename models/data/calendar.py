"""Calendar covariates: the position of a timestamp in its hour, day, week, month and year."""

from collections.abc import Callable, Sequence

import numpy as np

from models.errors import InputError

EPOCH_WEEKDAY = 3
"""Weekday of 1 January 1970, a Thursday, where Monday is 0."""


def calendar_covariates(times: np.ndarray, moments: Sequence[str]) -> np.ndarray:
    """Return the sine and cosine of each time's position in the chosen cycles, float32 [P, 2 * number of moments].

    **Arguments:** `times`, datetime64 [P]; `moments`, the parts of a timestamp to encode, each within the next longer
    one: "minute" in its hour and "hour" in its day (both with their fractions), "weekday" in the week from Monday and
    "day" in its month by that month's length (both in whole days), and "month" in the year (in whole months).

    **Raises:** `InputError` if the times are integers.
    """
    if moments and times.dtype.kind != "M":
        raise InputError(f"--window.calendar {','.join(moments)} needs timestamps, but the times are integers")
    waves = np.empty((len(times), 2 * len(moments)), np.float32)
    for n, moment in enumerate(moments):
        angle = 2 * np.pi * FRACTIONS[moment](times)  # [P]
        waves[:, 2 * n] = np.sin(angle)
        waves[:, 2 * n + 1] = np.cos(angle)
    return waves


def calendar_names(moments: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the calendar covariates, such as "hour_sin" and "hour_cos"."""
    return tuple(f"{moment}_{wave}" for moment in moments for wave in ("sin", "cos"))


def _fraction_of_hour(times: np.ndarray) -> np.ndarray:
    return (times - times.astype("datetime64[h]")) / np.timedelta64(1, "h")


def _fraction_of_day(times: np.ndarray) -> np.ndarray:
    return (times - times.astype("datetime64[D]")) / np.timedelta64(1, "D")


def _fraction_of_week(times: np.ndarray) -> np.ndarray:
    return (times.astype("datetime64[D]").astype(np.int64) + EPOCH_WEEKDAY) % 7 / 7


def _fraction_of_month(times: np.ndarray) -> np.ndarray:
    months = times.astype("datetime64[M]")
    first, next_first = months.astype("datetime64[D]"), (months + 1).astype("datetime64[D]")
    return (times.astype("datetime64[D]") - first) / (next_first - first)


def _fraction_of_year(times: np.ndarray) -> np.ndarray:
    return times.astype("datetime64[M]").astype(np.int64) % 12 / 12


FRACTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "minute": _fraction_of_hour,
    "hour": _fraction_of_day,
    "weekday": _fraction_of_week,
    "day": _fraction_of_month,
    "month": _fraction_of_year,
}
"""How much of its cycle each time has completed, from 0 up to 1."""

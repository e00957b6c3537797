"""Tables of series in CSV and Parquet files: found by their columns, and checked cell by cell."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from models.data.covariates import CovariateNames
from models.data.frequency import LARGEST_TIME
from models.display import printable
from models.errors import InputError
from models.specs import SeriesSpec
from tasks.data.formats import column_names, read_columns

ROLES = {"id": "unique_id", "time": "ds", "value": "y"}


def read_table(path: Path, spec: SeriesSpec) -> pd.DataFrame:
    """The columns `unique_id`, `ds` and `y` of a file, row by row; without ids, all rows are named after the file.

    Behind them come the covariates, under the names that `covariate_names` gives them.

    **Raises:** `InputError` with the row or column, the value, and the way out; `OSError` where it cannot be read.
    """
    there = column_names(path)
    name, time, value = (
        _column(there, given, role) for role, given in (("id", spec.id), ("time", spec.time), ("value", spec.value))
    )
    for role, column, other in (("value", value, time), ("id", name, time), ("id", name, value)):
        if column == other:
            raise InputError(f"column '{column}' cannot be two things at once; name another with --series.{role}")
    covariates = _covariates(there, spec, {name, time, value})
    used = [column for column in (name, time, value, *(column for _, column in covariates.values())) if column]
    table = read_columns(path, used, as_text=name)
    columns = {
        "unique_id": _ids(table, name, path.stem),
        "ds": _times(table, time),
        "y": _values(table, value, "value"),
    }
    return pd.DataFrame(columns | {new: _values(table, column, role) for new, (role, column) in covariates.items()})


def covariate_names(spec: SeriesSpec) -> CovariateNames:
    """The covariates as `read_table` names them: as in the file, but with _ behind a name that means something else."""
    given = {*spec.past, *spec.known, *spec.static}

    def free(name: str) -> str:
        new = name
        while new in ROLES.values() or (new != name and new in given):
            new += "_"
        return new

    past, known, static = (tuple(map(free, names)) for names in (spec.past, spec.known, spec.static))
    return CovariateNames(past, known, static)


def _covariates(there: Sequence[str], spec: SeriesSpec, taken: set[str | None]) -> dict[str, tuple[str, str]]:
    """The role and the column of each covariate, by its name in the table of `read_table`."""
    named = [(role, name) for role in CovariateNames._fields for name in getattr(spec, role)]
    found = {}
    for (role, name), new in zip(named, sum(covariate_names(spec), ()), strict=True):
        if name in taken:
            raise InputError(f"column '{name}' cannot be two things at once; name another with --series.{role}")
        if new in found:
            raise InputError(f"column '{name}' is named twice among the covariates; drop it from --series.{role}")
        found[new] = role, str(_column(there, name, role))
    return found


def _column(there: Sequence[str], given: str | None, role: str) -> str | None:
    """The column for a role: the one given, else the customary one; for `id` there may be none."""
    name = given or ROLES[role]
    if name in there:
        return name
    if given is None and role == "id":
        return None
    columns = printable(", ".join(f"'{column}'" for column in there), 500)
    raise InputError(f"there is no column '{name}'; name the {role} column with --series.{role}, one of: {columns}")


def _ids(table: pd.DataFrame, column: str | None, stem: str) -> pd.Series:
    if column is None:
        return pd.Series(stem, index=table.index)
    cells = table[column]
    return _complete(cells.mask(cells == ""), column).astype(str)


def _times(table: pd.DataFrame, column: str | None) -> pd.Series:
    """The times as integers, or as timestamps without a zone, in UTC where they had one."""
    cells = _complete(table[str(column)], str(column))
    if pd.api.types.infer_dtype(cells) == "boolean":
        raise InputError(f"column '{column}' has {cells.iloc[0]} in row 1, which is neither a timestamp nor an integer")
    as_they_stand = pd.api.types.is_numeric_dtype(cells) or pd.api.types.is_datetime64_any_dtype(cells)
    times = cells if as_they_stand else _parsed(cells.astype(str), str(column))
    if pd.api.types.is_datetime64_any_dtype(times):
        return times.dt.tz_convert("UTC").dt.tz_localize(None) if times.dt.tz is not None else times
    if pd.api.types.is_integer_dtype(times):
        return times
    numbers = times.to_numpy(np.float64)
    broken = np.flatnonzero((numbers != np.floor(numbers)) | (np.abs(numbers) >= LARGEST_TIME))
    if len(broken):
        raise InputError(
            f"column '{column}' has {printable(cells.iloc[broken[0]])} in row {broken[0] + 1}: times are timestamps or "
            "integers; number the rows, or give timestamps"
        )
    return pd.Series(numbers.astype(np.int64), index=cells.index)


def _parsed(text: pd.Series, column: str) -> pd.Series:
    """Text as timestamps or as numbers, whichever fits more of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas tells how it guesses; what cannot be read is told below
        times = _timestamps(text)
    numbers = pd.to_numeric(text, errors="coerce")
    are_times = times.notna().sum() >= numbers.notna().sum()
    reading, kind = (times, "a timestamp") if are_times else (numbers, "an integer")
    broken, read = np.flatnonzero(reading.isna()), np.flatnonzero(reading.notna())
    if len(broken):
        fault = "neither a timestamp nor an integer"
        if len(read):
            fault = f"not {kind} like '{printable(text.iloc[read[0]])}' in row {read[0] + 1}"
        raise InputError(
            f"column '{column}' has '{printable(text.iloc[broken[0]])}' in row {broken[0] + 1}, which is {fault}; "
            "write all times as in 2020-01-31, or all as in 2020-01-31 23:59:59"
        )
    return reading


def _timestamps(text: pd.Series) -> pd.Series:
    """All as the first one is written, or all in one of the forms of ISO 8601; NaT where they are not."""
    zone = _has_zone(text)
    try:
        alike = pd.to_datetime(text, errors="coerce", utc=zone)
    except ValueError:  # they are in several zones, but the first one, which may be no time at all, is in none
        return pd.Series(pd.NaT, index=text.index)
    if not text.str.match(r"\d{4}").any():
        alike = _day_or_month_first(text, alike, pd.to_datetime(text, errors="coerce", utc=zone, dayfirst=True))
    if zone or alike.notna().all():
        return alike
    try:
        free = pd.to_datetime(text, errors="coerce", format="ISO8601")
    except ValueError:  # some have a zone, and some have none
        return alike
    return free if free.notna().sum() > alike.notna().sum() else alike


def _day_or_month_first(text: pd.Series, months: pd.Series, days: pd.Series) -> pd.Series:
    """Of two readings, with months or with days first, the one that fits; where both do, nobody can tell."""
    if not (months.notna().all() and days.notna().all()):
        return days if days.notna().sum() > months.notna().sum() else months
    unlike = np.flatnonzero(months != days)
    if len(unlike):
        n = unlike[0]
        raise InputError(
            f"'{printable(text.iloc[n])}' in row {n + 1} may be {months.iloc[n]:%-d %B} or {days.iloc[n]:%-d %B}; "
            "write times as in 2020-01-31"
        )
    return months


def _has_zone(cells: pd.Series) -> bool:
    first = pd.to_datetime(cells.iloc[0], errors="coerce")
    return first is not pd.NaT and first.tzinfo is not None


def _values(table: pd.DataFrame, column: str | None, role: str) -> pd.Series:
    cells = table[str(column)]
    if cells.dtype.kind in "mM":
        raise InputError(
            f"column '{column}' holds times or durations, not numbers; name another column with --series.{role}"
        )
    numbers = pd.to_numeric(cells, errors="coerce")
    truth = pd.api.types.infer_dtype(cells) == "boolean"  # which can be converted, to what nobody means
    broken = np.flatnonzero(cells.notna() & (numbers.isna() | truth))
    if len(broken):
        raise InputError(
            f"column '{column}' has '{printable(cells.iloc[broken[0]])}' in row {broken[0] + 1}, which is not a number; "
            f"correct it, leave the cell empty if the value is missing, or name another column with --series.{role}"
        )
    return numbers.astype("float64")


def _complete(cells: pd.Series, column: str) -> pd.Series:
    missing = np.flatnonzero(cells.isna())
    if len(missing):
        raise InputError(f"column '{column}' is empty in row {missing[0] + 1}; fill it in or remove the row")
    return cells

"""Tables of series in CSV and Parquet files: found by their columns, and checked cell by cell."""

import csv
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from models.covariates import Columns
from models.errors import InputError
from models.frequency import LARGEST_TIME
from models.specs import SeriesSpec

ROLES = {"id": "unique_id", "time": "ds", "value": "y"}
MISSING = ["", "#N/A", "#NA", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"]
"""What a cell of a CSV file says where there is no value."""


def read_table(path: Path, spec: SeriesSpec) -> pd.DataFrame:
    """The columns `unique_id`, `ds` and `y` of a file, row by row; without ids, all rows are named after the file.

    Behind them come the covariates, under the names that `covariate_columns` gives them.

    **Raises:** `InputError` with the row or column, the value, and the way out; `OSError` where it cannot be read.
    """
    table = _read_columns(path, spec.id or ROLES["id"])
    name, time, value = (
        _column(table, given, role) for role, given in (("id", spec.id), ("time", spec.time), ("value", spec.value))
    )
    for role, column, other in (("value", value, time), ("id", name, time), ("id", name, value)):
        if column == other:
            raise InputError(f"column '{column}' cannot be two things at once; name another with --series.{role}")
    columns = {
        "unique_id": _ids(table, name, path.stem),
        "ds": _times(table, time),
        "y": _values(table, value, "value"),
    }
    return pd.DataFrame(columns | _covariates(table, spec, {name, time, value}))


def covariate_columns(spec: SeriesSpec) -> Columns:
    """The covariates as `read_table` names them: as in the file, but with _ behind a name that means something else."""
    given = {*spec.past, *spec.known, *spec.static}

    def free(name: str) -> str:
        new = name
        while new in ROLES.values() or (new != name and new in given):
            new += "_"
        return new

    past, known, static = (tuple(map(free, names)) for names in (spec.past, spec.known, spec.static))
    return Columns(past, known, static)


def _covariates(table: pd.DataFrame, spec: SeriesSpec, taken: set[str | None]) -> dict[str, pd.Series]:
    """The covariates' numbers by their names in the table of `read_table`."""
    named = [(role, name) for role in Columns._fields for name in getattr(spec, role)]
    found = {}
    for (role, name), new in zip(named, sum(covariate_columns(spec), ()), strict=True):
        if name in taken:
            raise InputError(f"column '{name}' cannot be two things at once; name another with --series.{role}")
        if new in found:
            raise InputError(f"column '{name}' is named twice among the covariates; drop it from --series.{role}")
        found[new] = _values(table, _column(table, name, role), role)
    return found


def _read_columns(path: Path, id_column: str) -> pd.DataFrame:
    """The file's columns as they stand, the rows numbered from 0."""
    if path.stat().st_size == 0:
        raise InputError("the file is empty")
    with path.open("rb") as file:
        is_parquet = file.read(4) == b"PAR1"
    try:
        table = _read_parquet(path) if is_parquet else _read_csv(path, id_column)
    except InputError:
        raise
    except (ValueError, TypeError, LookupError, NotImplementedError, csv.Error) as error:
        raise InputError(f"it is neither a CSV file in UTF-8 nor Parquet ({shown(error, 200)})") from error
    if len(table) == 0:
        raise InputError("the table has a header but no rows")
    return table


def _read_parquet(path: Path) -> pd.DataFrame:
    """Without what pandas adds to its own files, so that an index is a column as well."""
    return pd.read_parquet(path, engine="pyarrow", to_pandas_kwargs={"ignore_metadata": True})


def _read_csv(path: Path, id_column: str) -> pd.DataFrame:
    """The ids stay text as written: 01 is not 1, and NA is Namibia."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next((row for row in csv.reader(file) if row), [])
    for name, count in Counter(header).items():
        if count > 1:
            raise InputError(f"the column '{shown(name)}' is there {count} times; rename all but one")
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        raise InputError(f"the header '{shown(header[0])}' has no commas; separate the columns by commas")
    missing = {name: MISSING for name in header if name != id_column}
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            return pd.read_csv(
                path,
                encoding="utf-8-sig",
                index_col=False,
                low_memory=False,
                dtype={id_column: str},
                na_values=missing,
                keep_default_na=False,
            )
        except pd.errors.ParserWarning as error:  # it would drop the last cells
            raise InputError(
                f"its rows have more cells than its header has names ({len(header)}); quote cells that hold a comma"
            ) from error


def _column(table: pd.DataFrame, given: str | None, role: str) -> str | None:
    """The column for a role: the one given, else the customary one; for `id` there may be none."""
    name = given or ROLES[role]
    if name in table.columns:
        return name
    if given is None and role == "id":
        return None
    columns = shown(", ".join(f"'{column}'" for column in table.columns), 500)
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
            f"column '{column}' has {shown(cells.iloc[broken[0]])} in row {broken[0] + 1}: times are timestamps or "
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
            fault = f"not {kind} like '{shown(text.iloc[read[0]])}' in row {read[0] + 1}"
        raise InputError(
            f"column '{column}' has '{shown(text.iloc[broken[0]])}' in row {broken[0] + 1}, which is {fault}; "
            "write all times as in 2020-01-31, or all as in 2020-01-31 23:59:59"
        )
    return reading


def _timestamps(text: pd.Series) -> pd.Series:
    """All as the first one is written, or all in one of the forms of ISO 8601; NaT where they are not."""
    zone = _has_zone(text)
    alike = pd.to_datetime(text, errors="coerce", utc=zone)
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
            f"'{shown(text.iloc[n])}' in row {n + 1} may be {months.iloc[n]:%-d %B} or {days.iloc[n]:%-d %B}; "
            "write times as in 2020-01-31"
        )
    return months


def _has_zone(cells: pd.Series) -> bool:
    first = pd.to_datetime(cells.iloc[0], errors="coerce")
    return first is not pd.NaT and first.tzinfo is not None


def _values(table: pd.DataFrame, column: str | None, role: str) -> pd.Series:
    cells = table[str(column)]
    numbers = pd.to_numeric(cells, errors="coerce")
    convertible = pd.api.types.infer_dtype(cells) in ("boolean", "datetime64", "timedelta64")  # to what nobody means
    broken = np.flatnonzero(cells.notna() & (numbers.isna() | convertible))
    if len(broken):
        raise InputError(
            f"column '{column}' has '{shown(cells.iloc[broken[0]])}' in row {broken[0] + 1}, which is not a number; "
            f"correct it, leave the cell empty if the value is missing, or name another column with --series.{role}"
        )
    return numbers.astype("float64")


def _complete(cells: pd.Series, column: str) -> pd.Series:
    missing = np.flatnonzero(cells.isna())
    if len(missing):
        raise InputError(f"column '{column}' is empty in row {missing[0] + 1}; fill it in or remove the row")
    return cells


def shown(value: object, width: int = 60) -> str:
    """A value on one line, and no more of it than a reader needs."""
    text = " ".join(str(value).split())
    return text if len(text) <= width else text[: width - 3] + "..."

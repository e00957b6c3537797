"""Read a table of series from a CSV or Parquet file, and check its columns cell by cell."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from models.data.covariates import CovariateNames
from models.data.steps import LARGEST_TIME
from models.display import printable
from models.errors import InputError
from models.specs import ROWS, SeriesSpec
from tasks.data.formats import column_names, read_columns

DEFAULT_NAMES = {"id": "unique_id", "time": "ds", "value": "y"}


def read_long_table(path: Path, spec: SeriesSpec) -> pd.DataFrame:
    """Read the columns `unique_id`, `ds` and `y`, and then the covariates as `covariate_names` calls them.

    A file without ids holds one series, named after the column of its values, so that it has the same name in every
    file. The rows are numbered, and times are not needed, if the step is "rows".

    **Raises:** `InputError` with the row or column, the value, and what to do; `OSError` if the file cannot be read.
    """
    names = column_names(path)
    has_ids = spec.id is not None or DEFAULT_NAMES["id"] in names
    id_ = _column(names, spec.id, "id") if has_ids else None
    time = None if spec.step == ROWS else _column(names, spec.time, "time")
    value = _column(names, spec.value, "value")
    for role, column, other in (("value", value, time), ("id", id_, time), ("id", id_, value)):
        if column is not None and column == other:
            raise InputError(f"column '{column}' is used twice; name another one with --series.{role}")
    covariates = _covariates(names, spec, {id_, time, value})
    used = [column for column in (id_, time, value, *(column for _, column in covariates.values())) if column]
    table = read_columns(path, used, as_text=id_)
    columns = {
        "unique_id": (ids := _ids(table, id_, value)),
        "ds": ids.groupby(ids).cumcount() if time is None else _times(table, time),
        "y": _values(table, value, "value"),
    }
    return pd.DataFrame(columns | {name: _values(table, column, role) for name, (role, column) in covariates.items()})


def covariate_names(spec: SeriesSpec) -> CovariateNames:
    """Return the covariates' names in the table: those of the file, with "_" added to `unique_id`, `ds` and `y`."""
    columns = {*spec.past, *spec.known, *spec.static}

    def rename(column: str) -> str:
        name = column
        while name in DEFAULT_NAMES.values() or (name != column and name in columns):
            name += "_"
        return name

    past, known, static = (tuple(map(rename, names)) for names in (spec.past, spec.known, spec.static))
    return CovariateNames(past, known, static)


def _covariates(columns: Sequence[str], spec: SeriesSpec, used: set[str | None]) -> dict[str, tuple[str, str]]:
    """Return the role and the column of each covariate, by its name in the table."""
    pairs = [(role, column) for role in CovariateNames._fields for column in getattr(spec, role)]
    covariates = {}
    for (role, column), name in zip(pairs, sum(covariate_names(spec), ()), strict=True):
        if column in used:
            raise InputError(f"column '{column}' is used twice; name another one with --series.{role}")
        if name in covariates:
            raise InputError(f"column '{column}' is named twice among the covariates; drop it from --series.{role}")
        covariates[name] = role, _column(columns, column, role)
    return covariates


def _column(columns: Sequence[str], name: str | None, role: str) -> str:
    """Return the column for a role, by default the one with the default name."""
    column = name or DEFAULT_NAMES[role]
    if column in columns:
        return column
    choices = printable(", ".join(f"'{column}'" for column in columns), 500)
    raise InputError(f"there is no column '{column}'; name the {role} column with --series.{role}, one of: {choices}")


def _ids(table: pd.DataFrame, column: str | None, value: str) -> pd.Series:
    """Return the ids as text. Numbers are named as whole ones if all of them are: 1.0 and 1 are the same series."""
    if column is None:
        return pd.Series(value, index=table.index)
    cells = table[column]
    ids = _refuse_empty_cells(cells.mask(cells == ""), column).astype(str)
    return ids.str.removesuffix(".0") if ids.str.fullmatch(r"-?\d+\.0").all() else ids


def _times(table: pd.DataFrame, column: str) -> pd.Series:
    """Return times as integers, or as timestamps without a zone: UTC for those that had a zone."""
    cells = _refuse_empty_cells(table[column], column)
    if pd.api.types.infer_dtype(cells) == "boolean":
        raise InputError(f"column '{column}' has {cells.iloc[0]} in row 1, which is neither a timestamp nor an integer")
    is_parsed = pd.api.types.is_numeric_dtype(cells) or pd.api.types.is_datetime64_any_dtype(cells)
    times = cells if is_parsed else _parse_times(cells.astype(str), column)
    if pd.api.types.is_datetime64_any_dtype(times):
        return times.dt.tz_convert("UTC").dt.tz_localize(None) if times.dt.tz is not None else times
    if pd.api.types.is_integer_dtype(times):
        return times
    numbers = times.to_numpy(np.float64)
    broken = np.flatnonzero((numbers != np.floor(numbers)) | (np.abs(numbers) >= LARGEST_TIME))
    if len(broken):
        raise InputError(
            f"column '{column}' has {printable(cells.iloc[broken[0]])} in row {broken[0] + 1}, which is neither a "
            "timestamp nor an integer; number the rows, or give timestamps"
        )
    return pd.Series(numbers.astype(np.int64), index=cells.index)


def _parse_times(text: pd.Series, column: str) -> pd.Series:
    """Parse text as timestamps or as numbers, whichever reads more of the cells."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas warns about guessed formats; unreadable cells are refused below
        timestamps = _parse_timestamps(text)
    numbers = pd.to_numeric(text, errors="coerce")
    are_timestamps = timestamps.notna().sum() >= numbers.notna().sum()
    times, kind = (timestamps, "a timestamp") if are_timestamps else (numbers, "an integer")
    broken, parsed = np.flatnonzero(times.isna()), np.flatnonzero(times.notna())
    if len(broken):
        fault = "neither a timestamp nor an integer"
        if len(parsed):
            fault = f"not {kind} like '{printable(text.iloc[parsed[0]])}' in row {parsed[0] + 1}"
        raise InputError(
            f"column '{column}' has '{printable(text.iloc[broken[0]])}' in row {broken[0] + 1}, which is {fault}; "
            "write all times as in 2020-01-31, or all as in 2020-01-31 23:59:59"
        )
    return times


def _parse_timestamps(text: pd.Series) -> pd.Series:
    """Parse all cells in the format of the first one, or as ISO 8601, whichever reads more; NaT where neither does."""
    zone = _has_zone(text)
    try:
        times = pd.to_datetime(text, errors="coerce", utc=zone)
    except ValueError:  # several zones, but the first cell has none or is not a time
        return pd.Series(pd.NaT, index=text.index)
    if not text.str.match(r"\d{4}").any():
        day_first = pd.to_datetime(text, errors="coerce", utc=zone, dayfirst=True)
        times = _choose_day_or_month_first(text, times, day_first)
    if zone or times.notna().all():
        return times
    try:
        iso = pd.to_datetime(text, errors="coerce", format="ISO8601")
    except ValueError:  # only some have a zone
        return times
    return iso if iso.notna().sum() > times.notna().sum() else times


def _choose_day_or_month_first(text: pd.Series, month_first: pd.Series, day_first: pd.Series) -> pd.Series:
    """Choose the order of day and month that reads all cells.

    **Raises:** `InputError` if both orders do and give different dates.
    """
    if not (month_first.notna().all() and day_first.notna().all()):
        return day_first if day_first.notna().sum() > month_first.notna().sum() else month_first
    ambiguous = np.flatnonzero(month_first != day_first)
    if len(ambiguous):
        n = ambiguous[0]
        raise InputError(
            f"'{printable(text.iloc[n])}' in row {n + 1} may be {month_first.iloc[n]:%-d %B} or "
            f"{day_first.iloc[n]:%-d %B}; write times as in 2020-01-31"
        )
    return month_first


def _has_zone(cells: pd.Series) -> bool:
    first = pd.to_datetime(cells.iloc[0], errors="coerce")
    return first is not pd.NaT and first.tzinfo is not None


def _values(table: pd.DataFrame, column: str, role: str) -> pd.Series:
    cells = table[column]
    if cells.dtype.kind in "mM":
        raise InputError(
            f"column '{column}' holds times or durations, not numbers; name another column with --series.{role}"
        )
    numbers = pd.to_numeric(cells, errors="coerce")
    boolean = pd.api.types.infer_dtype(cells) == "boolean"  # pandas would convert these to 0 and 1
    broken = np.flatnonzero(cells.notna() & (numbers.isna() | boolean))
    if len(broken):
        raise InputError(
            f"column '{column}' has '{printable(cells.iloc[broken[0]])}' in row {broken[0] + 1}, which is not a "
            "number; correct it, leave the cell empty if the value is missing, or name another column with "
            f"--series.{role}"
        )
    return numbers.astype("float64")


def _refuse_empty_cells(cells: pd.Series, column: str) -> pd.Series:
    missing = np.flatnonzero(cells.isna())
    if len(missing):
        raise InputError(f"column '{column}' is empty in row {missing[0] + 1}; fill it in or remove the row")
    return cells

"""Where series come from: generated waves, CSV and Parquet files."""

import csv
import hashlib
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from prefect import task
from prefect.cache_policies import NO_CACHE

from models.errors import InputError
from models.panel import LARGEST_TIME, Panel, one_series, panel_from_frame
from models.specs import SeriesSpec

WAVES = {"sine": np.sin, "cosine": np.cos}
ROLES = {"id": "unique_id", "time": "ds", "value": "y"}
MISSING = ["", "#N/A", "#NA", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"]
"""What a cell of a CSV file says where there is no value."""


@dataclass(frozen=True)
class Series:
    """The series of a run: the panel, what was done to get it, and the sha256 of what it was read from."""

    name: str
    panel: Panel
    notes: tuple[str, ...]
    sha256: str
    wave: SeriesSpec | None = None

    def truth(self, begin: np.ndarray, steps: int) -> np.ndarray:
        """The values [N, steps] from each series' point `begin` [N] on, NaN where unknown; a wave is known for ever."""
        if self.wave is not None:
            return wave_values(self.wave, int(begin[0]), steps)[None]
        index = begin[:, None] + np.arange(steps)  # [N, steps]
        known = index < self.panel.ends[:, None]
        index = np.where(known, index, 0)
        return np.where(known & self.panel.observed[index], self.panel.values[index], np.nan)


@task(cache_policy=NO_CACHE)
def read_series(spec: SeriesSpec) -> Series:
    """Generate the wave or read the file that `spec` names.

    **Raises:** `InputError` with one line that names the file, the row or column, the value, and the way out.
    """
    if spec.wave and spec.path:
        raise InputError(
            f"both a wave ({spec.wave}) and a file ({spec.path}) are given; drop --series.wave or --series.path"
        )
    if spec.wave:
        return _generate(spec)
    if not spec.path:
        raise InputError("no series is given; name a file with --series.path, or a wave with --series.wave")
    path = Path(spec.path)
    try:
        there, is_file = path.exists(), path.is_file()
    except OSError as error:
        raise InputError(f"{_shown(path)} cannot be read: {error.strerror}; check --series.path") from error
    if not there:
        raise InputError(f"there is no file {_shown(path)}; check --series.path")
    if not is_file:
        raise InputError(f"{path} is not a file; name one CSV or Parquet file with --series.path")
    return _read_once(spec, path.stat().st_mtime_ns)


def wave_values(spec: SeriesSpec, begin: int, count: int) -> np.ndarray:
    """`count` values of the wave from its `begin`-th point on, also beyond its last."""
    step = (spec.stop - spec.start) / (spec.points - 1)
    return np.asarray(WAVES[spec.wave or "sine"](spec.start + step * np.arange(begin, begin + count)))


def wave_season(spec: SeriesSpec) -> int:
    """The whole number of points nearest to the wave's period."""
    step = abs(spec.stop - spec.start) / (spec.points - 1)
    return max(1, round(2 * np.pi / step))


def _generate(spec: SeriesSpec) -> Series:
    if spec.start == spec.stop:
        raise InputError(f"the wave goes nowhere: --series.start and --series.stop are both {spec.start:g}")
    if not np.isfinite(spec.stop - spec.start):
        raise InputError(
            f"a wave from {spec.start:g} to {spec.stop:g} is endless; make --series.start and --series.stop finite"
        )
    values = wave_values(spec, 0, spec.points)
    name = str(spec.wave)
    return Series(name, one_series(name, values), (), hashlib.sha256(values.tobytes()).hexdigest(), spec)


@lru_cache(maxsize=1)
def _read_once(spec: SeriesSpec, _changed: int) -> Series:
    """The file's series; the check before a run and the run itself share one reading."""
    path = Path(spec.path or "")
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        table = _read_table(path, spec.id or ROLES["id"])
        frame = pd.DataFrame(
            {
                "unique_id": _ids(table, _column(table, spec.id, "id"), path.stem),
                "ds": _times(table, _column(table, spec.time, "time")),
                "y": _values(table, _column(table, spec.value, "value")),
            }
        )
        panel, notes = panel_from_frame(frame, spec.fill)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except InputError as error:
        raise InputError(f"{path}: {' '.join(str(error).split())}") from error
    return Series(path.stem, panel, tuple(notes), sha256)


def _read_table(path: Path, id_column: str) -> pd.DataFrame:
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
        raise InputError(f"it is neither a CSV file in UTF-8 nor Parquet ({_shown(error, 200)})") from error
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
    for name in header:
        if header.count(name) > 1:
            raise InputError(f"the column '{name}' is there {header.count(name)} times; rename all but one")
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        raise InputError(f"the header '{_shown(header[0])}' has no commas; separate the columns by commas")
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
    columns = _shown(", ".join(f"'{column}'" for column in table.columns), 500)
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
            f"column '{column}' has {_shown(cells.iloc[broken[0]])} in row {broken[0] + 1}: times are timestamps or "
            "integers; number the rows, or give timestamps"
        )
    return pd.Series(numbers.astype(np.int64), index=cells.index)


def _parsed(text: pd.Series, column: str) -> pd.Series:
    """Text as timestamps, all written like the first one, or as numbers, whichever fits more of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas tells how it guesses; what cannot be read is told below
        times = pd.to_datetime(text, errors="coerce", utc=_has_zone(text))
    numbers = pd.to_numeric(text, errors="coerce")
    reading = times if times.notna().sum() >= numbers.notna().sum() else numbers
    broken, read = np.flatnonzero(reading.isna()), np.flatnonzero(reading.notna())
    if len(broken):
        fault = "neither a timestamp nor an integer"
        if len(read):
            fault = f"not written like '{_shown(text.iloc[read[0]])}' in row {read[0] + 1}"
        raise InputError(
            f"column '{column}' has '{_shown(text.iloc[broken[0]])}' in row {broken[0] + 1}, which is {fault}; "
            "write all times as in 2020-01-31, or all as in 2020-01-31 23:59:59"
        )
    return reading


def _has_zone(cells: pd.Series) -> bool:
    first = pd.to_datetime(cells.iloc[0], errors="coerce")
    return first is not pd.NaT and first.tzinfo is not None


def _values(table: pd.DataFrame, column: str | None) -> pd.Series:
    cells = table[str(column)]
    numbers = pd.to_numeric(cells, errors="coerce")
    convertible = pd.api.types.infer_dtype(cells) in ("boolean", "datetime64", "timedelta64")  # to what nobody means
    broken = np.flatnonzero(cells.notna() & (numbers.isna() | convertible))
    if len(broken):
        raise InputError(
            f"column '{column}' has '{_shown(cells.iloc[broken[0]])}' in row {broken[0] + 1}, which is not a number; "
            "correct it, leave the cell empty if the value is missing, or name another column with --series.value"
        )
    return numbers.astype("float64")


def _complete(cells: pd.Series, column: str) -> pd.Series:
    missing = np.flatnonzero(cells.isna())
    if len(missing):
        raise InputError(f"column '{column}' is empty in row {missing[0] + 1}; fill it in or remove the row")
    return cells


def _shown(value: object, width: int = 60) -> str:
    """A value on one line, and no more of it than a reader needs."""
    text = " ".join(str(value).split())
    return text if len(text) <= width else text[: width - 3] + "..."

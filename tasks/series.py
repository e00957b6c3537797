"""Where series come from: generated waves, CSV and Parquet files."""

import csv
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from prefect import task
from prefect.cache_policies import NO_CACHE

from models.errors import InputError
from models.panel import Panel, one_series, panel_from_frame
from models.specs import SeriesSpec

WAVES = {"sine": np.sin, "cosine": np.cos}
ROLES = {"id": "unique_id", "time": "ds", "value": "y"}


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
    if not path.exists():
        raise InputError(f"there is no file {path}; check --series.path")
    if not path.is_file():
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
        table = _read_table(path)
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
        raise InputError(f"{path}: {error}") from error
    return Series(path.stem, panel, tuple(notes), sha256)


def _read_table(path: Path) -> pd.DataFrame:
    """The file's columns as they stand."""
    if path.stat().st_size == 0:
        raise InputError("the file is empty")
    with path.open("rb") as file:
        is_parquet = file.read(4) == b"PAR1"
    try:
        table = pd.read_parquet(path) if is_parquet else _read_csv(path)
    except (ValueError, UnicodeDecodeError, csv.Error, pd.errors.ParserError) as error:
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split())
        raise InputError(f"it is neither a CSV file in UTF-8 nor Parquet ({reason})") from error
    if len(table) == 0:
        raise InputError("the table has a header but no rows")
    return table


def _read_csv(path: Path) -> pd.DataFrame:
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file), [])
    for name in header:
        if header.count(name) > 1:
            raise InputError(f"the column '{name}' is there {header.count(name)} times; rename all but one")
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        raise InputError(f"the header '{header[0]}' has no commas; separate the columns by commas")
    return pd.read_csv(path, encoding="utf-8-sig", index_col=False, low_memory=False)


def _column(table: pd.DataFrame, given: str | None, role: str) -> str | None:
    """The column for a role: the one given, else the customary one; for `id` there may be none."""
    name = given or ROLES[role]
    if name in table.columns:
        return name
    if given is None and role == "id":
        return None
    columns = ", ".join(str(column) for column in table.columns)
    raise InputError(f"there is no column '{name}'; name the {role} column with --series.{role}, one of: {columns}")


def _ids(table: pd.DataFrame, column: str | None, stem: str) -> pd.Series:
    if column is None:
        return pd.Series(stem, index=table.index)
    return _complete(table[column], column).astype(str)


def _times(table: pd.DataFrame, column: str | None) -> pd.Series:
    cells = _complete(table[str(column)], str(column))
    if pd.api.types.is_bool_dtype(cells):
        raise InputError(f"column '{column}' has {cells.iloc[0]} in row 1, which is neither a timestamp nor an integer")
    if pd.api.types.is_integer_dtype(cells):
        return cells.astype("int64")
    if pd.api.types.is_numeric_dtype(cells):
        broken = cells[(cells % 1 != 0).to_numpy()]
        if len(broken):
            raise InputError(
                f"column '{column}' has {broken.iloc[0]} in row {broken.index[0] + 1}: times are timestamps or "
                "integers; number the rows, or give timestamps"
            )
        return cells.astype("int64")
    times = (
        cells
        if pd.api.types.is_datetime64_any_dtype(cells)
        else pd.to_datetime(cells, errors="coerce", utc=_has_zone(cells))
    )
    broken = cells[times.isna().to_numpy()]
    if len(broken):
        raise InputError(
            f"column '{column}' has '{broken.iloc[0]}' in row {broken.index[0] + 1}, which is not a timestamp "
            f"like the others ({cells.iloc[0]})"
        )
    return times.dt.tz_convert("UTC").dt.tz_localize(None) if times.dt.tz is not None else times


def _has_zone(cells: pd.Series) -> bool:
    first = pd.to_datetime(cells.iloc[0], errors="coerce")
    return first is not pd.NaT and first.tzinfo is not None


def _values(table: pd.DataFrame, column: str | None) -> pd.Series:
    cells = table[str(column)]
    numbers = pd.to_numeric(cells, errors="coerce")
    broken = cells[(numbers.isna() & cells.notna()).to_numpy()]
    if len(broken) or pd.api.types.is_bool_dtype(cells) or pd.api.types.is_datetime64_any_dtype(cells):
        cell = broken if len(broken) else cells
        raise InputError(
            f"column '{column}' has '{cell.iloc[0]}' in row {cell.index[0] + 1}, which is not a number; "
            "correct it, leave the cell empty if the value is missing, or name another column with --series.value"
        )
    return numbers.astype("float64")


def _complete(cells: pd.Series, column: str) -> pd.Series:
    missing = cells.index[cells.isna().to_numpy()]
    if len(missing):
        raise InputError(f"column '{column}' is empty in row {missing[0] + 1}; fill it in or remove the row")
    return cells

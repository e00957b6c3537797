"""Read the columns of CSV and Parquet files, and refuse files that would take too much memory."""

import csv
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.display import printable
from models.errors import InputError

MOST_ROWS = 100_000_000
"""Most rows of a file, as of the points of a wave: a few kilobytes of Parquet may claim any number."""
MOST_COLUMNS = 10_000
"""Most columns of a file."""
MOST_TEXT = 1 << 32
"""Most bytes of text in a column of a Parquet file, uncompressed: one stored text may stand for every row."""
LONGEST_LINE = 1 << 22
"""Most bytes of a line of a CSV file. Lines of twice this length are always refused, shorter ones not always."""
MISSING = ["", "#N/A", "#NA", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"]
"""Cells of a CSV file that stand for a missing value."""
COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}
"""First bytes of compressed files."""


@contextmanager
def _refuse_unreadable() -> Iterator[None]:
    """Turn what the readers raise for bytes that they cannot parse into an `InputError`."""
    try:
        yield
    except InputError:
        raise
    except (ValueError, TypeError, LookupError, NotImplementedError, csv.Error) as error:
        raise InputError(f"it is neither a CSV file in UTF-8 nor Parquet ({printable(error, 200)})") from error


@_refuse_unreadable()
def column_names(path: Path) -> list[str]:
    """Return the names of the columns; a column of a CSV file without a name is called "Unnamed: 2", as in pandas.

    **Raises:** `InputError` for a file without columns, with too many, or with two of one name; `OSError`.
    """
    if is_parquet(path):
        names = _parquet_names(path)
    else:
        _refuse_bad_csv(path)
        names = _csv_names(path)
    if not names:
        raise InputError("the file is empty")
    if len(names) > MOST_COLUMNS:
        raise InputError(f"the table has {len(names):,} columns, more than {MOST_COLUMNS:,}; keep those that are used")
    for name, count in Counter(names).items():
        if count > 1:
            raise InputError(f"there are {count} columns '{printable(name)}'; rename all but one")
    return names


@_refuse_unreadable()
def read_columns(path: Path, names: list[str], as_text: str | None) -> pd.DataFrame:
    """Read the columns of these names; in a CSV file, column `as_text` is not parsed.

    **Raises:** `InputError` for a file beyond the limits above or one that cannot be parsed; `OSError`.
    """
    table = _read_parquet(path, names) if is_parquet(path) else _read_csv(path, as_text)
    if len(table) == 0:
        raise InputError("the table has a header but no rows")
    return table[names]


def is_parquet(path: Path) -> bool:
    """Return whether the file begins like a Parquet file, whatever its name."""
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _parquet_names(path: Path) -> list[str]:
    with pq.ParquetFile(path) as file:
        return list(file.schema_arrow.names)


def _read_parquet(path: Path, names: list[str]) -> pd.DataFrame:
    """Read with Arrow, without the metadata of pandas, so that an index is a column like any other."""
    with pq.ParquetFile(path) as file:
        types = {name: file.schema_arrow.field(name).type for name in names}
        for name, kind in types.items():
            if not _is_plain(kind):
                raise InputError(
                    f"column '{printable(name)}' holds {printable(kind)}; write numbers, text or timestamps instead"
                )
        _refuse_large_columns(file, names)
    texts = [name for name, kind in types.items() if _is_text(kind)]
    with pq.ParquetFile(path, read_dictionary=texts) as file:  # which holds equal texts once
        table = file.read(names).select(names)
    table.validate(full=True)  # else damaged text is found later, where it is used
    for name in texts:
        _refuse_long_texts(name, table[name])
    return pa.table({name: _decode(table[name]) for name in types}).to_pandas()


def _is_plain(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    checks = (pa.types.is_null, pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    return _is_text(kind) or any(check(kind) for check in (*checks, pa.types.is_temporal))


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return any(check(kind) for check in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))


def _decode(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Replace the indices of a dictionary by the values; the type allows more than 2 GiB of text."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return column.cast(kind).cast(pa.large_string() if _is_text(kind) else kind)


def _refuse_large_columns(file: pq.ParquetFile, names: list[str]) -> None:
    """Check the sizes in the metadata, before more than the first row of each row group is read."""
    metadata, size = file.metadata, dict.fromkeys(names, 0)
    _refuse_rows(metadata.num_rows)
    numbers = [n for n in range(metadata.num_columns) if metadata.schema.column(n).path in size]
    for group in range(metadata.num_row_groups):
        next(file.iter_batches(1, [group], names), None)  # raises for damage that would crash the process below
        for column in (metadata.row_group(group).column(number) for number in numbers):
            name = column.path_in_schema
            if "DELTA_BYTE_ARRAY" in column.encodings:
                raise InputError(
                    f"column '{printable(name)}' is encoded as DELTA_BYTE_ARRAY, which hides the length of its texts; "
                    "write the file with another encoding"
                )
            size[name] += column.total_uncompressed_size
            _refuse_bytes(name, size[name])


def _refuse_long_texts(name: str, column: pa.ChunkedArray) -> None:
    total = 0
    for chunk in column.chunks:
        lengths = pc.binary_length(chunk.dictionary).take(chunk.indices)
        total += pc.sum(lengths.cast(pa.int64())).as_py() or 0
    _refuse_bytes(name, total)


def _refuse_bytes(name: str, size: int) -> None:
    if size > MOST_TEXT:
        raise InputError(
            f"column '{printable(name)}' takes {size / 2**30:,.1f} GiB uncompressed, more than "
            f"{MOST_TEXT / 2**30:,.0f} GiB; give shorter texts or fewer rows"
        )


def _refuse_rows(count: int) -> None:
    if count > MOST_ROWS:
        raise InputError(
            f"the file has {count:,} rows, more than {MOST_ROWS:,}; give fewer rows or split the series up"
        )


def _csv_names(path: Path) -> list[str]:
    """Return the names in the first line that is not blank."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next((row for row in csv.reader(file) if len(row) > 1 or "".join(row).strip()), [])
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        raise InputError(f"the header '{printable(header[0])}' has no commas; separate the columns by commas")
    return [name or f"Unnamed: {place}" for place, name in enumerate(header)]


def _refuse_bad_csv(path: Path) -> None:
    """Refuse compressed files, lines and rows beyond the limits, and the byte 0, which ends a text in pandas."""
    rows = 0
    with path.open("rb") as file:
        for start, kind in COMPRESSED.items():
            if file.read(len(start)) == start:
                raise InputError(f"it is compressed ({kind}); unpack it first, or write it as Parquet")
            file.seek(0)
        while block := file.read(LONGEST_LINE):
            if b"\0" in block:
                raise InputError(
                    "it is neither a CSV file in UTF-8 nor Parquet (it holds the byte 0); convert it first"
                )
            if len(block) == LONGEST_LINE and b"\n" not in block and b"\r" not in block:
                raise InputError(
                    f"a line is longer than {LONGEST_LINE >> 20} MiB (of {path.stat().st_size >> 20:,} MiB in all); "
                    "end each row with a line break, and keep the columns that are used"
                )
            rows += block.count(b"\n")
    _refuse_rows(rows - 1)


def _read_csv(path: Path, as_text: str | None) -> pd.DataFrame:
    """Read with pandas; the ids stay text: 01 is not 1, and NA is Namibia, not a missing value."""
    names = _csv_names(path)
    missing = {name: MISSING for name in names if name != as_text}
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            return pd.read_csv(
                path,
                encoding="utf-8-sig",
                compression=None,
                header=0,
                names=names,
                index_col=False,
                low_memory=False,
                dtype={as_text: str} if as_text else None,
                na_values=missing,
                keep_default_na=False,
            )
        except pd.errors.ParserWarning as error:  # pandas would drop the last cells
            raise InputError(
                f"its rows have more cells than its header has names ({len(names)}); quote cells that hold a comma"
            ) from error

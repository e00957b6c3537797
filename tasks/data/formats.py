"""CSV and Parquet: a file's columns as they stand, within bounds on what reading them takes."""

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
"""Rows of a file, as many as a wave has points: a few kilobytes of Parquet may claim any number."""
MOST_COLUMNS = 10_000
"""Columns of a file."""
MOST_TEXT = 1 << 32
"""Bytes of text in a column of a Parquet file once it is unpacked: one long text may stand for every row."""
LONGEST_LINE = 1 << 22
"""Bytes of a line of a CSV file; one that is twice as long is refused, shorter ones may pass."""
MISSING = ["", "#N/A", "#NA", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"]
"""What a cell of a CSV file says where there is no value."""
PACKED = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
"""How compressed files begin."""


@contextmanager
def _understood() -> Iterator[None]:
    """What the readers say of bytes that they do not understand is the user's mistake."""
    try:
        yield
    except InputError:
        raise
    except (ValueError, TypeError, LookupError, NotImplementedError, csv.Error) as error:
        raise InputError(f"it is neither a CSV file in UTF-8 nor Parquet ({printable(error, 200)})") from error


@_understood()
def column_names(path: Path) -> list[str]:
    """The names of a file's columns; in a CSV file, one without a name is called after its place, as pandas does.

    **Raises:** `InputError` where there are none, too many, or two of one name; `OSError` where it cannot be read.
    """
    if is_parquet(path):
        names = _parquet_names(path)
    else:
        _refuse_other_bytes(path)
        names = _csv_names(path)
    if not names:
        raise InputError("the file is empty")
    if len(names) > MOST_COLUMNS:
        raise InputError(f"the table has {len(names):,} columns, more than {MOST_COLUMNS:,}; keep those that are used")
    for name, count in Counter(names).items():
        if count > 1:
            raise InputError(f"the column '{printable(name)}' is there {count} times; rename all but one")
    return names


@_understood()
def read_columns(path: Path, names: list[str], as_text: str | None) -> pd.DataFrame:
    """The columns of these names as they stand, the rows numbered from 0; in a CSV file, `as_text` stays as written.

    **Raises:** `InputError` where the file is larger than the bounds or cannot be understood; `OSError`.
    """
    table = _read_parquet(path, names) if is_parquet(path) else _read_csv(path, as_text)
    if len(table) == 0:
        raise InputError("the table has a header but no rows")
    return table[names]


def is_parquet(path: Path) -> bool:
    """Whether the file begins as a Parquet file does, whatever it is called."""
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _parquet_names(path: Path) -> list[str]:
    with pq.ParquetFile(path) as file:
        return list(file.schema_arrow.names)


def _read_parquet(path: Path, names: list[str]) -> pd.DataFrame:
    """What pandas adds to its own files is left aside, so that an index is a column as well."""
    with pq.ParquetFile(path) as file:
        types = {name: file.schema_arrow.field(name).type for name in names}
        for name, kind in types.items():
            if not _is_plain(kind):
                raise InputError(
                    f"column '{printable(name)}' holds {printable(kind)}; write numbers, text or timestamps, one value a row"
                )
        _refuse_large(file, names)
    texts = [name for name, kind in types.items() if _is_text(kind)]
    with pq.ParquetFile(path, read_dictionary=texts) as file:  # each text is held once
        table = file.read(names).select(names)
    table.validate(full=True)  # damaged text would be found later otherwise, where nobody expects it
    for name in texts:
        _refuse_long_texts(name, table[name])
    return pa.table({name: _unpacked(table[name]) for name in types}).to_pandas()


def _is_plain(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    checks = (pa.types.is_null, pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    return _is_text(kind) or any(check(kind) for check in (*checks, pa.types.is_temporal))


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return any(check(kind) for check in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))


def _unpacked(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Each row's value itself, in place of its number in a dictionary; texts together may be longer than 2 GiB."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return column.cast(kind).cast(pa.large_string() if _is_text(kind) else kind)


def _refuse_large(file: pq.ParquetFile, names: list[str]) -> None:
    """By what the file tells of itself, before more than the first row of each of its parts is unpacked."""
    metadata, size = file.metadata, dict.fromkeys(names, 0)
    _refuse_rows(metadata.num_rows)
    numbers = [n for n in range(metadata.num_columns) if metadata.schema.column(n).path in size]
    for group in range(metadata.num_row_groups):
        next(file.iter_batches(1, [group], names), None)  # an error here; what follows would end the process instead
        for column in (metadata.row_group(group).column(number) for number in numbers):
            name = column.path_in_schema
            if "DELTA_BYTE_ARRAY" in column.encodings:
                raise InputError(
                    f"column '{printable(name)}' is encoded as DELTA_BYTE_ARRAY, which does not tell how long its texts "
                    "are; write the file with another encoding"
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
            f"column '{printable(name)}' takes {size / 2**30:,.1f} GiB when it is unpacked, more than "
            f"{MOST_TEXT / 2**30:,.0f} GiB; give shorter texts or fewer rows"
        )


def _refuse_rows(count: int) -> None:
    if count > MOST_ROWS:
        raise InputError(f"the file has {count:,} rows, more than {MOST_ROWS:,}; give fewer, or fewer series a file")


def _csv_names(path: Path) -> list[str]:
    """The names in the first line that is not blank."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next((row for row in csv.reader(file) if len(row) > 1 or "".join(row).strip()), [])
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        raise InputError(f"the header '{printable(header[0])}' has no commas; separate the columns by commas")
    return [name or f"Unnamed: {place}" for place, name in enumerate(header)]


def _refuse_other_bytes(path: Path) -> None:
    """What is compressed, has lines or rows beyond the bounds, or holds NUL, which ends a text for pandas."""
    rows = 0
    with path.open("rb") as file:
        for start, kind in PACKED.items():
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
    """The ids stay text as written: 01 is not 1, and NA is Namibia."""
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
        except pd.errors.ParserWarning as error:  # it would drop the last cells
            raise InputError(
                f"its rows have more cells than its header has names ({len(names)}); quote cells that hold a comma"
            ) from error

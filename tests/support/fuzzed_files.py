"""The files of the fuzz test: random tables as CSV and Parquet, many of them with damaged bytes."""

import csv
import io
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Columns = dict[str, list[Any]]
"""The cells of each column of a table."""

NAMES = ["a", "b", "01", "1", "NA", "=cmd()", "+1", "@x", "-1", "../../etc/x", "", " ", "naïve", "名", "a\nb", "a\rb"]
NAMES += ["\x1b[31mred", "a,b", 'a"b', "nul\0", "\u202etxt", "x" * 10_000, "[/bold]", "$x$", "True", "1e5", "None"]
CELLS = [
    "",
    "nan",
    "inf",
    "-inf",
    "1e308",
    "-1e308",
    "1e-320",
    "0",
    "-0",
    str(2**63),
    str(-(2**63)),
    str(2**64),
    "9" * 40,
]
CELLS += [
    "0x10",
    "1_000",
    "1,5",
    "1.5.5",
    "+1",
    "-",
    "e",
    "True",
    "null",
    "#N/A",
    "9999-12-31",
    "0001-01-01",
    "1677-09-21",
]
CELLS += ["2020-02-30", "2020-13-01", "2020-01-01T00:00Z", "2020-01-01 00:00:00+14:00", "10000-01-01", "-2020-01-01"]
CELLS += ["01/02/2020", "2020Q1", "2020-W01", "now", "today", "NaT", "1 Jan", "12:00", "2020-01-01T24:00", "1e18", "٣"]
CELLS += [
    '"',
    '"a',
    "'",
    "\0",
    "\ufeff",
    "\x1b[2J",
    "\u2028",
    ";",
    "\t",
    "=1+1",
    "{}",
    "[1]",
    "x" * 3000,
    "1970-01-01",
    "٠",
]
BYTES = [b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\x80", b"\xc3\x28", b"\r", b"\r\n", b"\n\n", b'"', b",", b",,", b"PAR1"]
BYTES += [cell.encode() for cell in CELLS]


def make_file(seed: int, number: int) -> tuple[str, bytes]:
    """Return the name and the bytes of a file: CSV for even numbers, Parquet for odd ones."""
    random = Random(f"{seed} {number} file")  # noqa: S311
    kind, write = ("csv", csv_bytes) if number % 2 == 0 else ("parquet", parquet_bytes)
    content = write(random, make_table(random))
    if random.random() < 0.4:
        content = damage(random, content, lambda: write(random, make_table(random)))
    return f"input.{kind}", content


def make_options(seed: int, number: int) -> dict[str, Any]:
    """Return the options of a run: columns, windows, parts and scales."""
    random = Random(f"{seed} {number} options")  # noqa: S311
    role = random.choice(["past", "known", "static", *["none"] * 9])
    return {
        "series": {"fill": random.choice(["last", "last", "linear", "error"])}
        | ({} if role == "none" else {role: ("x",)}),
        "window": {
            "length": random.choice([1, 2, 3, 8]),
            "horizon": random.choice([1, 1, 2, 5]),
            "scale": random.choice(["standard", "standard", "robust", "none"]),
            "transform": random.choice(["none", "none", "none", "log", "difference"]),
            "short": random.choice(["error", "leave_out", "pad", "pad"]),
            "calendar": random.choice([(), (), (), (), (), ("hour", "weekday"), ("month",)]),
        },
        "split": random.choice([{}, {"validation": 0, "test": 0}, {"validation": 2, "test": 2}, {"train": 0.5}]),
        "season": random.choice([None, None, 1, 3, 7]),
        "free_run": random.choice(["first", "test"]),
    }


def make_table(random: Random) -> Columns:
    """Return a long table of one to three series, which is well formed except for a few cells."""
    ids, times, values = [], [], []
    time_of = random.choice(TIMES)
    for name in random.sample(NAMES if random.random() < 0.5 else ["a", "b", "c"], random.choice([1, 1, 2, 3])):
        rows = list(range(random.choice([1, 5, 20, 60, 60, 60, 60, 60])))
        if random.random() < 0.1:
            rows = [row for row in rows if random.random() > 0.1]
        if random.random() < 0.1:
            random.shuffle(rows)
        if random.random() < 0.05 and rows:
            rows.append(random.choice(rows))
        value_of = random.choice(VALUES)
        ids += [name] * len(rows)
        times += [time_of(row) for row in rows]
        values += [value_of(row, random) for row in rows]
    table: Columns = {"unique_id": ids, "ds": times, "y": values}
    if random.random() < 0.3:
        del table["unique_id"]
    if random.random() < 0.6:
        table["x"] = [random.choice([0, 1, 1.5]) for _ in ids]
    if random.random() < 0.05:
        table[random.choice([*NAMES, "y", "Y"])] = [1] * len(ids)
    for _ in range(random.choice([0, 0, 0, 0, 1, 2])):
        column = random.choice(list(table))
        if table[column]:
            table[column][random.randrange(len(ids))] = random.choice([None, *CELLS])
    return table


FIRST = datetime(2019, 12, 30)
EAST = timezone(timedelta(hours=5, minutes=30))


def _month(row: int) -> datetime:
    return datetime(2000 + row // 12, 1 + row % 12, 1, tzinfo=UTC)


TIMES: list[Callable[[int], Any]] = [
    lambda row: row,
    lambda row: 10 * row - 35,
    lambda row: 2**62 - 70 + row,
    lambda row: float(row),
    lambda row: FIRST + timedelta(days=row),
    lambda row: FIRST + timedelta(hours=row),
    lambda row: FIRST + timedelta(microseconds=row),
    lambda row: FIRST.replace(tzinfo=EAST) + timedelta(hours=row),
    _month,
    lambda row: str((FIRST + timedelta(days=row)).date()),
    lambda row: (FIRST + timedelta(days=row)).strftime("%d.%m.%Y"),
    lambda row: (FIRST + timedelta(days=row)).strftime("%m/%d/%Y %H:%M"),
    lambda row: str(FIRST.replace(tzinfo=UTC) + timedelta(minutes=15 * row)),
    lambda row: str(1900 + row),
    lambda row: datetime(9999, 12, 31) - timedelta(days=59 - row % 60),
    lambda row: datetime(1, 1, 1) + timedelta(days=row),
    lambda row: f"{2000 + row // 4}Q{1 + row % 4}",
]
VALUES: list[Callable[[int, Random], Any]] = [
    lambda row, _: math.sin(row / 3),
    lambda row, random: random.gauss(0, 1),
    lambda row, random: random.gauss(1e9, 1),
    lambda row, _: row % 7 + 1,
    lambda row, _: 5.0,
    lambda row, random: random.choice([1e308, -1e308, 0.0]),
    lambda row, random: random.choice([5e-324, 1e-300, 0.0]),
    lambda row, random: random.choice([math.nan, None, 1.0, 2.0]),
    lambda row, random: random.randrange(2**62),
    lambda row, random: random.choice([1.0, math.inf]) if random.random() < 0.1 else float(row),
    lambda row, _: 2.0**row,
]


def csv_bytes(random: Random, table: Columns) -> bytes:
    """Write the table as CSV in a random dialect."""
    text = io.StringIO(newline="")
    writer = csv.writer(
        text,
        delimiter=random.choice([*"," * 20, ";", "\t"]),
        lineterminator=random.choice(["\n", "\n", "\r\n", "\r"]),
        quoting=random.choice([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    )
    writer.writerow(table)
    writer.writerows(zip(*table.values(), strict=True))
    encoding = random.choice([*["utf-8"] * 9, "utf-8-sig", "utf-8-sig", "utf-16", "latin-1"])
    return text.getvalue().encode(encoding, errors="replace")


def parquet_bytes(random: Random, table: Columns) -> bytes:
    """Write the table as Parquet with random options."""
    content, columns = io.BytesIO(), {name: _column(random, cells) for name, cells in table.items()}
    for name, column in columns.items():
        if pa.types.is_timestamp(column.type) and column.type.unit == "s":
            # Parquet has no such unit, and not all of these seconds fit into a finer one.
            columns[name] = column.cast(pa.int64())
    pq.write_table(
        pa.table(columns),
        content,
        compression=random.choice(["none", "snappy", "zstd", "gzip"]),
        use_dictionary=random.random() < 0.5,
        row_group_size=random.choice([1, 7, 1000]) if random.random() < 0.2 else None,
        data_page_version=random.choice(["1.0", "2.0"]),
        store_schema=random.random() < 0.5,
        write_page_checksum=random.random() < 0.1,
    )
    return content.getvalue()


TYPES = [
    pa.int8(),
    pa.int32(),
    pa.uint64(),
    pa.float16(),
    pa.float32(),
    pa.float64(),
    pa.decimal128(38, 4),
    pa.string(),
]
TYPES += [
    pa.bool_(),
    pa.binary(),
    pa.large_string(),
    pa.date32(),
    pa.time32("s"),
    pa.duration("us"),
    pa.timestamp("ns"),
]
TYPES += [
    pa.timestamp("s"),
    pa.timestamp("ms", "Europe/Paris"),
    pa.list_(pa.int64()),
    pa.dictionary(pa.int8(), pa.string()),
]


def _column(random: Random, cells: list[Any]) -> pa.Array:
    """Return the cells in a type that can hold them; sometimes in one that changes or loses values."""
    try:
        column = pa.array(cells)
    except (pa.ArrowException, TypeError, OverflowError, ValueError):
        column = pa.array([None if cell is None else str(cell) for cell in cells])
    if random.random() < 0.1:
        try:
            return column.cast(random.choice(TYPES), safe=random.random() < 0.5)
        except pa.ArrowException:
            return column
    return column


def damage(random: Random, content: bytes, another: Callable[[], bytes]) -> bytes:
    """Return the bytes after a few random accidents."""
    data = bytearray(content)
    for _ in range(random.choice([1, 1, 2, 3, 8])):
        place, end = sorted(random.randrange(len(data) + 1) for _ in range(2))
        end = min(end, place + random.choice([1, 4, 30, 10**9]))
        accident = random.randrange(8)
        if accident == 0 and data:
            data[place % len(data)] ^= 1 << random.randrange(8)
        elif accident == 1:
            del data[place:end]
        elif accident == 2:
            data[place:place] = random.choice(BYTES)
        elif accident == 3:
            data[place:place] = data[place:end]
        elif accident == 4:
            data[place:end] = random.choice(BYTES)
        elif accident == 5:
            data[place:end] = random.randbytes(random.randrange(1, 9))
        elif accident == 6 and random.random() < 0.3:
            data[place:] = another()[place:]
        elif accident == 7 and random.random() < 0.3:
            del data[place:]
    return bytes(data)

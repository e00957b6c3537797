"""Series from waves, CSV and Parquet files, and the mistakes in them that are refused."""

import datetime as dt
import hashlib
import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.data.covariates import Covariates
from models.errors import InputError
from models.specs import SeriesSpec
from tasks.data.series import Series, read_series, wave_season, wave_values

DAYS = pd.date_range("2020-01-01", periods=5)


@pytest.fixture(autouse=True)
def no_warning_reaches_the_user() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


Write = Callable[..., Path]


@pytest.fixture
def csv(tmp_path: Path) -> Write:
    def write(*lines: str, encoding: str = "utf-8", end: str = "\n") -> Path:
        path = tmp_path / "sales.csv"
        path.write_bytes("".join(line + end for line in lines).encode(encoding))
        return path

    return write


@pytest.fixture
def parquet(tmp_path: Path) -> Write:
    def write(**columns: Any) -> Path:
        path = tmp_path / "sales.parquet"
        pq.write_table(pa.table(columns), path)
        return path

    return write


def read(path: Path, **options: Any) -> Series:
    return read_series.fn(SeriesSpec(path=str(path), **options))


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        read(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 1000
    assert path.name in message
    return message


def read_or_refusal(path: Path) -> str:
    try:
        read(path)
    except InputError as error:
        return str(error)
    return ""


def equal(first: Series, second: Series) -> bool:
    one, other = first.panel, second.panel
    return (
        (one.ids, one.step, one.first) == (other.ids, other.step, other.first)
        and one.offsets.tolist() == other.offsets.tolist()
        and one.values.tolist() == other.values.tolist()
        and one.observed.tolist() == other.observed.tolist()
    )


# Waves


@pytest.mark.parametrize(("wave", "function"), [("sine", np.sin), ("cosine", np.cos)])
def test_a_wave_is_the_function_of_evenly_spaced_points(wave: Any, function: Callable[..., np.ndarray]) -> None:
    series = read_series.fn(SeriesSpec(wave=wave, start=2, stop=10, points=21))
    np.testing.assert_allclose(series.panel.values, function(np.linspace(2, 10, 21)), rtol=0, atol=1e-14)
    assert series.name == wave
    assert series.panel.ids == (wave,)
    assert series.panel.all_times().tolist() == list(range(21))
    assert series.notes == ()


def test_a_wave_continues_beyond_its_last_point() -> None:
    spec = SeriesSpec(wave="sine", start=0, stop=100, points=1000)
    step = 100 / 999
    np.testing.assert_allclose(wave_values(spec, 998, 4), np.sin(step * np.array([998, 999, 1000, 1001])), atol=1e-13)
    series = read_series.fn(spec)
    actual = series.actual_values_from(np.array([990]), 20)
    assert actual.shape == (1, 20)
    np.testing.assert_allclose(actual[0, :10], series.panel.values[990:], atol=1e-13)
    np.testing.assert_allclose(actual[0, 10:], np.sin(step * np.arange(1000, 1010)), atol=1e-13)


def test_a_waves_sha256_is_that_of_its_values() -> None:
    spec = SeriesSpec(wave="sine", points=10)
    assert read_series.fn(spec).sha256 == hashlib.sha256(wave_values(spec, 0, 10).tobytes()).hexdigest()


def test_a_waves_season_is_its_period_in_points() -> None:
    assert wave_season(SeriesSpec(wave="sine", start=0, stop=100, points=1001)) == 63  # 2 pi / 0.1
    assert wave_season(SeriesSpec(wave="sine", start=0, stop=-100, points=1001)) == 63
    assert wave_season(SeriesSpec(wave="sine", start=0, stop=1000, points=4)) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "name a file with --series.path, or a wave with --series.wave"),
        ({"wave": "sine", "path": "a.csv"}, "both a wave (sine) and a file (a.csv)"),
        ({"wave": "sine", "start": 3, "stop": 3}, "--series.start and --series.stop are both 3"),
        ({"wave": "sine", "start": -1.5e308, "stop": 1.5e308}, "from -1.5e+308 to 1.5e+308 is too long"),
    ],
)
def test_no_series_or_two_of_them_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_series.fn(SeriesSpec(**options))
    assert message in str(caught.value)


# Files


def test_a_csv_file_is_read_with_its_name_and_sha256(csv: Write) -> None:
    path = csv("ds,y", "2020-01-01,1.5", "2020-01-02,2.5")
    series = read(path)
    assert series.name == "sales"
    assert series.panel.ids == ("y",)
    assert series.panel.values.tolist() == [1.5, 2.5]
    assert str(series.panel.step) == "D"
    assert series.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert series.wave is None


def test_several_series_in_one_file_are_told_apart_by_their_id(csv: Write) -> None:
    panel = read(csv("unique_id,ds,y", "b,0,1", "b,1,2", "a,5,3", "a,6,4", "a,7,5")).panel
    assert panel.ids == ("a", "b")
    assert panel.offsets.tolist() == [0, 3, 5]
    assert panel.values.tolist() == [3, 4, 5, 1, 2]
    assert panel.first == (5, 0)


def test_columns_are_found_by_the_names_of_the_options(csv: Write) -> None:
    path = csv("shop,when,sold,y", "n,0,1,9", "n,1,2,9", "s,0,3,9")
    panel = read(path, id="shop", time="when", value="sold").panel
    assert panel.ids == ("n", "s")
    assert panel.values.tolist() == [1, 2, 3]
    assert read(path, id="shop", time="when").panel.values.tolist() == [9, 9, 9]


def test_csv_and_parquet_give_the_same_panel(csv: Write, tmp_path: Path) -> None:
    path = csv(
        "unique_id,ds,y", "b,2020-01-01,1.25", "b,2020-01-02,", "b,2020-01-04,3", "1,2020-01-02,7", "1,2020-01-03,8"
    )
    table = pd.read_csv(path, parse_dates=["ds"])
    table.to_parquet(tmp_path / "sales.parquet")
    table.set_index(["unique_id", "ds"]).to_parquet(tmp_path / "indexed.parquet")
    first, second = read(path), read(tmp_path / "sales.parquet")
    assert first.panel.ids == ("1", "b")
    assert first.panel.values.tolist() == [7, 8, 1.25, 1.25, 1.25, 3]
    assert first.notes == ("filled 2 of 6 values that were missing with the last value before (series.fill=last)",)
    assert equal(first, second)
    assert equal(first, read(tmp_path / "indexed.parquet"))
    assert second.sha256 == hashlib.sha256((tmp_path / "sales.parquet").read_bytes()).hexdigest()


def test_a_file_that_has_changed_is_read_again(csv: Write) -> None:
    assert read(csv("ds,y", "0,1", "1,2")).panel.values.tolist() == [1, 2]
    assert read(csv("ds,y", "0,3", "1,4")).panel.values.tolist() == [3, 4]


def test_actual_values_beyond_the_end_and_filled_values_are_unknown(csv: Write) -> None:
    series = read(csv("unique_id,ds,y", "a,0,1", "a,1,", "a,2,3", "b,0,7", "b,1,8"))  # points 0 to 2, 3 and 4
    nan = float("nan")
    np.testing.assert_array_equal(series.actual_values_from(np.array([1, 4]), 3), [[nan, 3, nan], [8, nan, nan]])
    np.testing.assert_array_equal(series.actual_values_from(np.array([3, 5]), 2), [[nan, nan], [nan, nan]])


# CSV


def test_a_byte_order_mark_is_no_part_of_the_first_name(csv: Write) -> None:
    path = csv("y,ds", "1,0", ",1", "3,2", encoding="utf-8-sig")
    assert read(path, fill="linear").panel.values.tolist() == [1, 2, 3]


def test_quotes_windows_line_ends_and_blank_lines_are_read(csv: Write) -> None:
    path = csv("", '"ds","sold, kg"', '"2020-01-01","1"', "", '"2020-01-02","2"', end="\r\n")
    assert read(path, value="sold, kg").panel.values.tolist() == [1, 2]


@pytest.mark.parametrize("cell", ["", "NA", "nan", "NaN", "null", "None", "N/A"])
def test_an_empty_cell_has_many_spellings(csv: Write, cell: str) -> None:
    assert read(csv("ds,y", "0,1", f"1,{cell}", "2,3"), fill="linear").panel.values.tolist() == [1, 2, 3]


def test_ids_stay_as_they_are_written(csv: Write) -> None:
    path = csv("unique_id,ds,y", "01,0,1", "1,0,2", "NA,0,3", "1.0,0,4", "true,0,5", '"a,b",0,6')
    assert read(path).panel.ids == ("01", "1", "1.0", "NA", "a,b", "true")
    path = csv("shop,ds,y", "01,0,1", "1,0,2", "001,0,3")
    assert read(path, id="shop").panel.ids == ("001", "01", "1")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["ds;y", "0;1"], "the header 'ds;y' has no commas"),
        (["ds\ty", "0\t1"], "has no commas"),
        (["ds,y,y", "0,1,2"], "there are 2 columns 'y'"),
        (["ds,y"], "a header but no rows"),
        (["a,b", "0,1"], "no column 'ds'; name the time column with --series.time, one of: 'a', 'b'"),
        ([" ds,y", "0,1"], "one of: ' ds', 'y'"),
        (["ds,b", "0,1"], "no column 'y'; name the value column with --series.value"),
        (["ds,y", "0,1,5", "1,2,5"], "more cells than its header has names (2); quote cells that hold a comma"),
        (["ds,y", "0,1", "1,2,5"], "Expected 2 fields in line 3, saw 3"),
        (["ds,y", '0,"1', "1,2"], "neither a CSV file in UTF-8 nor Parquet"),
        (["ds,y", "0,1", '1,"2 000"'], "column 'y' has '2 000' in row 2, which is not a number"),
        (["ds,y", '0,"1,5"'], "column 'y' has '1,5' in row 1"),
        (["ds,y", "0,True", "1,"], "column 'y' has 'True' in row 1"),
        (["ds,y", "0," + "9" * 5000 + "x"], "999x' in row 1"),
        (["ds,y", '0,"a\nb"'], "column 'y' has 'a b' in row 1"),
        (["ds,y", "0,1", "1,inf"], "row 2: the value inf is not finite"),
        (["ds,y", "0,1", "1,-1e101"], "row 2: the value -1e+101 is larger than 1e+100; rescale the values"),
        (["ds,y", "0,", "1,"], "series 'y' has no value at all"),
        (["ds,y", ",1", "1,2"], "column 'ds' is empty in row 1"),
        (["ds,y", "True,1", "False,2"], "column 'ds' has True in row 1, which is neither a timestamp nor an integer"),
        (["ds,y", "0.5,1", "1,2"], "column 'ds' has 0.5 in row 1, which is neither a timestamp nor an integer; number"),
        (["ds,y", "1e300,1", "2e300,2"], "column 'ds' has 1e+300 in row 1"),
        (["ds,y", "99999999999999999999,1"], "column 'ds' has 99999999999999999999 in row 1"),
        (["ds,y", "18446744073709551615,1"], "row 1: the time 18446744073709551615 is too far away"),
        (["ds,y", "0,1", "x,2"], "column 'ds' has 'x' in row 2, which is not an integer like '0' in row 1"),
        (["ds,y", "10000-01-01,1"], "column 'ds' has '10000-01-01' in row 1, which is neither a timestamp nor"),
        (["ds,y", "2020-01-01,1", "soon,2"], "'soon' in row 2, which is not a timestamp like '2020-01-01' in row 1"),
        (["ds,y", "Jan 1 2020,1", "2020-01-02,2"], "'2020-01-02' in row 2, which is not a timestamp like 'Jan 1 2020'"),
        (["ds,y", "01.01.2020,1", "32.01.2020,2"], "'32.01.2020' in row 2, which is not a timestamp like"),
        (["ds,y", "2020-01-01T00:00Z,1", "2020-01-01T01:00,2"], "'2020-01-01T01:00' in row 2"),
        (["ds,y", "2020-01-01T00:00,1", "2020-01-01T01:00Z,2"], "'2020-01-01T01:00Z' in row 2"),
        (["ds,y", "12:00,1", "2020-01-01 00:00+05:30,2"], "'12:00' in row 1, which is neither a timestamp nor"),
        (["ds,y", "0,1", "0,2"], "series 'y' has the time 0 twice (row 2)"),
        (["unique_id,ds,y", '"a\nb",0,1', '"a\nb",0,1'], "series 'a b' has the time 0 twice (row 2)"),
        (["unique_id,ds,y", ",0,1"], "column 'unique_id' is empty in row 1"),
        (["ds,y,unique_id", "0,1,a", "1,2"], "column 'unique_id' is empty in row 2"),
        ([",".join(f"column{n}" for n in range(3000))], "one of: 'column0', 'column1'"),
        ([",".join(f"column{n}" for n in range(3000)), ",".join("0" * 3000)], "one of: 'column0', 'column1'"),
    ],
)
def test_a_mistake_in_a_csv_file_is_refused_in_one_line(csv: Write, lines: list[str], message: str) -> None:
    assert message in refusal(csv(*lines))


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfed\x00s\x00", bytes(range(256)), b"PAR1 and no more"])
def test_bytes_that_are_no_table_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "strange.csv"
    path.write_bytes(content)
    assert "the file is empty" in refusal(path) or "neither a CSV file in UTF-8 nor Parquet" in refusal(path)


def test_a_path_without_a_file_is_refused(tmp_path: Path) -> None:
    assert "there is no file" in refusal(tmp_path / "none.csv")
    assert "is not a file" in refusal(tmp_path)
    with pytest.raises(InputError, match=r"too long; check --series\.path"):
        read(Path("a" * 5000))


# Times


TIMES = {
    "dates": ("2020-01-31,2020-02-29,2020-03-31", "ME", "2020-01-31"),
    "slashes": ("2020/01/01,2020/01/02,2020/01/03", "D", "2020-01-01"),
    "month first": ("01/30/2020,01/31/2020,02/01/2020", "D", "2020-01-30"),
    "month names": ("Jan 1 2020,Jan 2 2020,Jan 3 2020", "D", "2020-01-01"),
    "months": ("2020-01,2020-02,2020-03", "MS", "2020-01-01"),
    "quarters": ("2020Q1,2020Q2,2020Q3", "3MS", "2020-01-01"),
    "times": ("2020-01-01 00:00,2020-01-01 00:30,2020-01-01 01:00", "30min", "2020-01-01"),
    "of different precision": ("2020-01-01,2020-01-01 00:00:00.5,2020-01-01T00:00:01", "500ms", "2020-01-01"),
    "ISO 8601": ("2020-01-01T00:00:00Z,2020-01-01T01:00:00Z,2020-01-01T02:00:00Z", "h", "2020-01-01"),
    "year 1": ("0001-01-01,0001-01-02,0001-01-03", "D", "0001-01-01"),
    "year 1700": ("1700-01-01,1701-01-01,1702-01-01", "12MS", "1700-01-01"),
    "year 9999": ("9999-12-29,9999-12-30,9999-12-31", "D", "9999-12-29"),
    "summer time": (
        "2020-03-29T00:30+01:00,2020-03-29T01:30+01:00,2020-03-29T03:30+02:00",  # an hour apart each
        "h",
        "2020-03-28T23:30",
    ),
}


@pytest.mark.parametrize("case", TIMES)
def test_timestamps_are_read_in_many_forms(csv: Write, case: str) -> None:
    cells, step, first = TIMES[case]
    panel = read(csv("ds,y", *(f"{cell},{n}" for n, cell in enumerate(cells.split(","))))).panel
    assert panel.values.tolist() == [0, 1, 2]
    assert str(panel.step) == str(step)
    assert panel.first[0] == np.datetime64(first, "us")


@pytest.mark.parametrize("cells", ["1990,1991,1992", "1990.0,1991.0,1992.0"])
def test_whole_numbers_are_integer_times(csv: Write, cells: str) -> None:
    panel = read(csv("ds,y", *(f"{cell},0" for cell in cells.split(",")))).panel
    assert str(panel.step) == "1"
    assert panel.all_times().tolist() == [1990, 1991, 1992]


PARQUET_TIMES = {
    "date32": pa.array([day.date() for day in DAYS], pa.date32()),
    "date64": pa.array([day.date() for day in DAYS], pa.date64()),
    "seconds": pa.array(DAYS, pa.timestamp("s")),
    "nanoseconds": pa.array(DAYS, pa.timestamp("ns")),
    "UTC": pa.array(DAYS, pa.timestamp("us", "UTC")),
    "text": pa.array([str(day.date()) for day in DAYS]),
    "dictionary": pa.array([str(day.date()) for day in DAYS]).dictionary_encode(),
}


@pytest.mark.parametrize("kind", PARQUET_TIMES)
def test_parquets_dates_are_the_same_times_in_every_type(parquet: Write, kind: str) -> None:
    panel = read(parquet(ds=PARQUET_TIMES[kind], y=np.arange(5.0))).panel
    assert str(panel.step) == "D"
    assert (panel.all_times() == DAYS.to_numpy()).all()


def test_times_in_a_zone_are_taken_to_utc(parquet: Write) -> None:
    hours = pd.date_range("2020-03-28 21:00", periods=30, freq="h")  # summer time begins after four of them
    panel = read(parquet(ds=pa.array(hours, pa.timestamp("us", "Europe/Paris")), y=np.arange(30.0))).panel
    assert str(panel.step) == "h"
    assert panel.first[0] == np.datetime64("2020-03-28T21:00", "us")


INTEGERS = {
    "int8": pa.array(range(5), pa.int8()),
    "int32": pa.array(range(5), pa.int32()),
    "uint64": pa.array(range(5), pa.uint64()),
    "float32": pa.array([0, 1, 2, 3, 4], pa.float32()),
    "float64": pa.array([0, 1, 2, 3, 4], pa.float64()),
    "decimal": pa.array([Decimal(n) for n in range(5)], pa.decimal128(10, 2)),
    "text": pa.array(["0", "1", "2", "3", "4"]),
    "dictionary": pa.array(["0", "1", "2", "3", "4"]).dictionary_encode(),
}


@pytest.mark.parametrize("kind", INTEGERS)
def test_parquets_numbers_are_the_same_in_every_type(parquet: Write, kind: str) -> None:
    panel = read(parquet(ds=INTEGERS[kind], y=INTEGERS[kind])).panel
    assert panel.all_times().tolist() == [0, 1, 2, 3, 4]
    assert panel.values.tolist() == [0, 1, 2, 3, 4]


IDS = {
    "text": pa.array(list("aabbb")),
    "large text": pa.array(list("aabbb"), pa.large_string()),
    "dictionary": pa.array(list("aabbb")).dictionary_encode(),
    "integers": pa.array([1, 1, 2, 2, 2], pa.int32()),
}


@pytest.mark.parametrize("kind", IDS)
def test_parquets_ids_are_text_in_every_type(parquet: Write, kind: str) -> None:
    panel = read(parquet(unique_id=IDS[kind], ds=[0, 1, 0, 1, 2], y=np.arange(5.0))).panel
    assert panel.ids == (("1", "2") if kind == "integers" else ("a", "b"))
    assert panel.offsets.tolist() == [0, 2, 5]


@pytest.mark.parametrize("kind", ["Int64", "Float64", "string", "category", "int64[pyarrow]", "double[pyarrow]"])
def test_pandas_types_survive_a_parquet_file(tmp_path: Path, kind: str) -> None:
    numbers = pd.Series(["1", None, "3"] if kind in ("string", "category") else [1, None, 3]).astype(kind)
    path = tmp_path / "sales.parquet"
    pd.DataFrame({"ds": DAYS[:3], "y": numbers.array}, index=list("xyz")).to_parquet(path)
    panel = read(path, fill="linear").panel
    assert panel.values.tolist() == [1, 2, 3]
    assert panel.observed.tolist() == [True, False, True]


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "booleans": ({"ds": [0, 1], "y": [True, False]}, "column 'y' has 'True' in row 1, which is not a number"),
    "a boolean and a gap": ({"ds": [0, 1], "y": [None, True]}, "column 'y' has 'True' in row 2"),
    "text": ({"ds": [0, 1], "y": ["1", "x"]}, "column 'y' has 'x' in row 2, which is not a number"),
    "timestamps as values": ({"ds": [0, 1], "y": DAYS[:2]}, "column 'y' holds times or durations, not numbers"),
    "timestamps of no calendar": ({"ds": [0], "y": pa.array([2**60], pa.timestamp("us"))}, "times or durations, not"),
    "durations as values": ({"ds": [0], "y": pa.array([dt.timedelta(1)])}, "column 'y' holds times or durations"),
    "lists": ({"ds": [0, 1], "y": [[1], [2]]}, "column 'y' holds list<element: int64>; write numbers"),
    "structures as times": ({"ds": [{"a": 1}], "y": [1]}, "column 'ds' holds struct<a: int64>; write numbers"),
    "lists as times": ({"ds": [[1], [2]], "y": [1, 2]}, "column 'ds' holds list<element: int64>; write numbers"),
    "booleans as times": ({"ds": [True, False], "y": [1, 2]}, "column 'ds' has True in row 1"),
    "durations as times": ({"ds": pa.array([dt.timedelta(1)]), "y": [1]}, "column 'ds' has '1 days"),
    "no time": ({"ds": [0, None], "y": [1, 2]}, "column 'ds' is empty in row 2"),
    "no times": ({"ds": pa.nulls(2), "y": [1, 2]}, "column 'ds' is empty in row 1"),
    "no name": ({"unique_id": ["a", ""], "ds": [0, 0], "y": [1, 2]}, "column 'unique_id' is empty in row 2"),
    "no values": ({"ds": [0, 1], "y": pa.nulls(2)}, "has no value at all"),
    "nanoseconds": ({"ds": pa.array([0, 100], pa.timestamp("ns")), "y": [1, 2]}, "too fine; round it"),
    "a wrong unit": ({"ds": pa.array([0, 2**60], pa.timestamp("us")), "y": [1, 2]}, "is too far away; check"),
    "invalid text": (
        {"unique_id": pa.array([b"\xad"]).view(pa.string()), "ds": [0], "y": [1]},
        "it is neither a CSV file in UTF-8 nor Parquet (Column 0",
    ),
    "no rows": ({"ds": pa.array([], pa.int64()), "y": pa.array([], pa.int64())}, "a header but no rows"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_mistake_in_a_parquet_file_is_refused_in_one_line(parquet: Write, case: str) -> None:
    columns, message = BROKEN[case]
    assert message in refusal(parquet(**columns))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), byte=st.binary(min_size=1, max_size=3))
def test_a_damaged_parquet_file_is_read_or_refused_but_never_crashes(parquet: Write, place: float, byte: bytes) -> None:
    path = parquet(unique_id=list("aab"), ds=[0, 1, 0], y=[1.0, 2.0, 3.0])
    content = bytearray(path.read_bytes())
    begin = int(place * (len(content) - len(byte)))
    content[begin : begin + len(byte)] = byte
    path.write_bytes(content)
    assert "\n" not in read_or_refusal(path)


texts = st.one_of(st.text(max_size=12), st.integers().map(str), st.floats().map(str))
cells = st.one_of(texts, st.sampled_from(["", "0", "1", "NA", "2020-01-01", "2020-02-01", "True"]))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=4))
def test_any_text_at_all_is_read_or_refused_but_never_crashes(tmp_path: Path, rows: list[tuple[str, ...]]) -> None:
    path = tmp_path / "sales.csv"
    lines = ["unique_id,ds,y", *(",".join(row) for row in rows)]
    path.write_text("\n".join(lines), encoding="utf-8", errors="replace")
    assert "\n" not in read_or_refusal(path)


def test_dates_with_the_day_first_are_read_where_no_other_order_fits(tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    days = pd.date_range("2024-01-01", periods=31, freq="D")
    pd.DataFrame({"ds": days.strftime("%d.%m.%Y"), "y": np.arange(31.0)}).to_csv(path, index=False)
    panel = read_series.fn(SeriesSpec(path=str(path))).panel
    assert str(panel.step) == "D"
    assert panel.times(0, 0, 31).tolist() == days.to_pydatetime().tolist()


# Covariates


def covariates_of(path: Path, **options: Any) -> Covariates:
    covariates = read(path, **options).panel.covariates
    assert covariates is not None
    return covariates


def test_covariates_are_read_beside_the_values(csv: Write) -> None:
    lines = ["shop,ds,y,temp,sale,size", "n,0,1,5,0,50", "n,1,2,,1,50", "n,2,,,0,50", "s,4,3,8,1,70", "s,5,4,9,0,"]
    series = read(csv(*lines), id="shop", past="temp", known="sale", static="size")
    covariates = series.panel.covariates
    assert covariates is not None
    assert covariates.names == ("size", "sale", "temp")
    assert covariates.values.tolist() == [[50, 0, 5], [50, 1, 5], [70, 1, 8], [70, 0, 9]]
    np.testing.assert_array_equal(covariates.ahead[0], [[50, 0, float("nan")]])
    assert series.panel.values.tolist() == [1, 2, 3, 4]
    assert series.notes[-1].startswith("filled 1 of 8 covariate numbers")


def test_csv_and_parquet_give_the_same_covariates(csv: Write, tmp_path: Path) -> None:
    path = csv("ds,y,temp,sale", "0,1,0.5,0", "1,2,,1", "2,3,7,1")
    pd.read_csv(path).to_parquet(tmp_path / "sales.parquet")
    first, second = (covariates_of(file, past=("temp", "sale")) for file in (path, tmp_path / "sales.parquet"))
    assert first.values.tolist() == second.values.tolist() == [[0.5, 0], [0.5, 1], [7, 1]]


def test_a_covariate_may_have_a_name_that_means_something_else_in_the_table(csv: Write) -> None:
    path = csv("shop,when,sold,unique_id,ds,y,y_", "n,0,1,10,20,30,40", "n,1,2,11,21,31,41")
    options = {"id": "shop", "time": "when", "value": "sold", "past": ("y", "y_", "ds"), "static": ()}
    covariates = covariates_of(path, **options, known=("unique_id",))
    assert covariates.names == ("unique_id_", "y__", "y_", "ds_")
    assert covariates.values.tolist() == [[10, 30, 40, 20], [11, 31, 41, 21]]
    assert read(path, **options).panel.values.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"past": "wind"}, "no column 'wind'; name the past column with --series.past, one of: 'unique_id', 'ds'"),
        ({"known": "y"}, "column 'y' is used twice; name another one with --series.known"),
        ({"static": "ds"}, "column 'ds' is used twice; name another one with --series.static"),
        ({"static": "unique_id"}, "column 'unique_id' is used twice"),
        (
            {"past": "temp", "known": "temp"},
            "column 'temp' is named twice among the covariates; drop it from --series.",
        ),
        ({"past": "temp,temp"}, "column 'temp' is named twice among the covariates; drop it from --series.past"),
        (
            {"known": "note"},
            "column 'note' has 'hot' in row 2, which is not a number; correct it, leave the cell empty",
        ),
        ({"known": "note"}, "or name another column with --series.known"),
        ({"past": "open"}, "column 'open' has 'True' in row 1, which is not a number"),
        ({"past": "huge"}, "column 'huge' has inf in row 2, which is not finite"),
        ({"static": "temp"}, "series 'a' has both 1.0 and 2.0 in 'temp', which should be static"),
        ({"past": "none"}, "series 'a' has no number in 'none' up to its last value"),
    ],
)
def test_a_mistake_with_covariates_is_refused_in_one_line(csv: Write, options: dict[str, Any], message: str) -> None:
    lines = ["unique_id,ds,y,temp,note,open,huge,none", "a,0,1,1,1,True,1,", "a,1,2,2,hot,False,inf,"]
    assert message in refusal(csv(*lines), **options)

"""Hostile data: no name becomes a path or a command, no file takes more memory than allowed, no data is executed."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.figure import Figure
from mlflow.tracking import MlflowClient
from rich.console import Console

from flows.commands.app import run
from models.display import printable
from models.errors import LONGEST_MESSAGE, InputError
from models.specs import LONGEST_NAME, SeriesSpec
from tasks import plots
from tasks.data import formats
from tasks.data.formats import LONGEST_LINE, MOST_COLUMNS, MOST_ROWS
from tasks.data.series import read_series
from tasks.forecasting import write_forecast
from tasks.report import training_table
from tasks.tracking.files import artifact_folder
from tasks.tracking.registry import registered_name
from tasks.tracking.runs import tracked_run
from tasks.tracking.tracker import TRACKER

ROOT = Path(__file__).parent.parent
HOSTILE = {
    "a way out": "../../etc/x",
    "an absolute path": "/etc/passwd",
    "lines": "a\nb\r\nc\x85d\u2028e",
    "NUL": "a\0b",
    "a terminal's colours": "\x1b[31mred\x1b]0;title\x07",
    "right to left": "\u202egnp.exe",
    "ten thousand": "x" * 10_000,
    "markup": "[/bold][red]<script>alert(1)</script>$\\frac{1}$",
    "a formula": "=cmd()",
    "dots": "..",
    "colons": "models:/a@champion",
}


def refusal(path: Path, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        read_series.fn(SeriesSpec.model_validate({"path": str(path), **options}))
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) <= LONGEST_MESSAGE
    assert path.name in message
    return message


# Names


def test_shown_text_is_one_printable_line_of_bounded_length() -> None:
    for name in HOSTILE.values():
        assert printable(name).isprintable()
        assert len(printable(name)) <= 60
    assert printable("a\t b\n") == "a b"
    assert printable("a\0\x1b[31mb") == "a\ufffd\ufffd[31mb"
    assert printable("0123456789" * 2, 12) == "01234...6789"
    assert printable("naïve 名 👍") == "naïve 名 👍"


def test_a_refusal_is_one_line_whatever_it_quotes() -> None:
    message = str(InputError(f"series '{HOSTILE['ten thousand']}\n\x1b[2J' is odd; leave it out"))
    assert message.isprintable()
    assert len(message) <= LONGEST_MESSAGE
    assert message.startswith("series 'xxx")
    assert message.endswith("is odd; leave it out")


@pytest.mark.parametrize("case", HOSTILE)
def test_the_name_of_a_series_is_cleaned_when_it_is_set(case: str) -> None:
    name = SeriesSpec(wave="sine", name=HOSTILE[case]).name
    assert name == printable(HOSTILE[case], LONGEST_NAME)
    with pytest.raises(ValueError, match="it should not be blank"):
        SeriesSpec(wave="sine", name=" \n")


@pytest.mark.parametrize("case", HOSTILE)
def test_an_experiment_and_a_registered_model_take_any_name_and_stay_in_their_folder(
    case: str, mlflow_folder: Path
) -> None:
    spec = SeriesSpec(wave="sine", points=10, name=HOSTILE[case])
    series, client = read_series.fn(spec), TRACKER.client()
    with tracked_run(series.name, series.name, {"data.notes": series.name}) as run:
        assert Path(artifact_folder(run.id)).resolve().is_relative_to((mlflow_folder / "artifacts").resolve())
    model = client.create_registered_model(registered_name(series.name))
    assert re.fullmatch(r"[\w.-]+", model.name)
    assert client.get_run(run.id).info.status == "FINISHED"
    client.delete_registered_model(model.name)


@pytest.mark.parametrize("name", ["a\nb\x1b[31m", " ", "..", "n" * 250])
def test_a_file_of_any_name_is_a_series(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.csv"
    path.write_text("ds,y\n0,1\n1,2\n")
    series = read_series.fn(SeriesSpec(path=str(path)))
    assert series.name == (printable(name, LONGEST_NAME) or "series")
    assert series.panel.ids == ("y",)


@pytest.mark.parametrize("case", HOSTILE)
def test_a_plot_takes_any_title_and_unit(case: str) -> None:
    times, values = np.arange(9), np.arange(9.0)
    figure: Figure = plots.forecast(HOSTILE[case], times[:6], values[:6], times[6:], {"gru": values[6:]}, HOSTILE[case])
    figure.savefig(io.BytesIO())
    assert figure.get_figheight() < 12


@pytest.mark.parametrize("case", HOSTILE)
def test_a_terminal_shows_any_experiment_as_it_is_called(case: str) -> None:
    name = printable(HOSTILE[case], LONGEST_NAME)
    summary = {"experiment": name, "chosen": "gru", "chosen_by": "train_rmse", "horizon": 1, "baselines": {}}
    summary |= {"models": {"gru": {"seconds": 1.0, "metrics": {"train_rmse": 0.5}}}}
    screen = Console(file=io.StringIO(), width=200, markup=False)
    screen.print(training_table(summary))
    title, _, _ = screen.file.getvalue().partition("┏")  # type: ignore[attr-defined]
    assert "".join(f"{name}: RMSE".split()) in "".join(title.split())


def test_a_column_of_any_name_is_found_but_one_that_no_database_accepts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    for name in HOSTILE.values():
        pq.write_table(pa.table({"ds": [0, 1], name: [1.0, 2.0]}), path)
        if "\0" in name:
            with pytest.raises(ValueError, match="a column's name holds the character NUL"):
                SeriesSpec(path=str(path), value=name)
        else:
            series = read_series.fn(SeriesSpec(path=str(path), value=name))
            assert series.panel.values.tolist() == [1, 2]
            assert series.unit == printable(name, LONGEST_NAME)
    with pytest.raises(ValueError, match="characters in all, more than 70,000"):
        SeriesSpec(path=str(path), past=tuple(f"{n:096}" for n in range(700)))


@pytest.mark.parametrize("cell", ["=cmd()", "+1+1", "-2+3", "@SUM(A1)", "=HYPERLINK('x')", "\t=1"])
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_formula_remains_text(cell: str, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"f{ending}"
    table = pd.DataFrame({"unique_id": cell, "ds": [0, 1, 2], "y": [1.0, 2.0, 3.0]})
    write_forecast.fn(table, str(path))
    assert read_series.fn(SeriesSpec(path=str(path))).panel.ids == (cell,)
    if ending == ".csv":
        assert path.read_text().splitlines()[1] == f"{cell},0,1.0"


def test_a_run_succeeds_with_the_worst_names(mlflow_folder: Path, prefect_server: None) -> None:
    values = np.sin(np.arange(60) / 3)
    ids = [HOSTILE["ten thousand"], "../../x\n\x1b[31m", "=cmd()\0"]
    column = HOSTILE["a terminal's colours"] + HOSTILE["ten thousand"][:5000]
    tables = [pd.DataFrame({"unique_id": id_, "ds": range(60), column: values + n}) for n, id_ in enumerate(ids)]
    pd.concat(tables).to_parquet(mlflow_folder / "f.parquet")
    before = set(mlflow_folder.iterdir())
    options = ["--series.path", "f.parquet", "--series.value", column, "--series.name", "../../[/red]\x1b[31m\nx"]
    options += ["--models", "gru", "--fit.epochs", "2", "--window.length", "4", "--recurrent.hidden", "2"]
    assert run(["train", *options, "--json", "out.json"]) == 0
    assert {path.name for path in set(mlflow_folder.iterdir()) - before} <= {
        ".tidecast",
        "artifacts",
        "out.json",
        "mlflow.db",
    }
    summary = json.loads((mlflow_folder / "out.json").read_text())
    assert summary["experiment"] == "../../[/red]\ufffd[31m x"
    model = f"{summary['registered']['name']}/1"
    assert run(["forecast", "--model", model, "--horizon", "2", "--output", "out.parquet"]) == 0
    assert set(pd.read_parquet(mlflow_folder / "out.parquet")["unique_id"]) == set(ids)


# Files that are larger than they seem


REFUSE = """
import resource, sys
from models.errors import InputError
from models.specs import SeriesSpec
from tasks.data.series import read_series
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before = peak()
try:
    read_series.fn(SeriesSpec(path=sys.argv[1]))
except InputError as error:
    print(peak() - before, error)
"""


def many_rows(path: Path) -> None:
    part = pa.table({"ds": pa.nulls(50_000_000, pa.int8()), "y": pa.nulls(50_000_000, pa.int8())})
    with pq.ParquetWriter(path, part.schema, compression="zstd", max_rows_per_page=1 << 30) as writer:
        for _ in range(20):
            writer.write_table(part, row_group_size=50_000_000)
    assert path.stat().st_size < 100_000


def one_long_text(path: Path, column: str = "unique_id") -> None:
    ids = pa.DictionaryArray.from_arrays(np.zeros(1_000_000, np.int8), ["x" * 10_000_000])
    table = pa.table({column: ids, "ds": np.arange(1_000_000, dtype=np.int32), "y": pa.nulls(1_000_000)})
    pq.write_table(table, path, dictionary_pagesize_limit=1 << 30, compression="zstd")


def shared_beginnings(path: Path) -> None:
    table = pa.table({"unique_id": ["x" * 1_000_000] * 100, "ds": range(100), "y": [1.0] * 100})
    pq.write_table(table, path, use_dictionary=False, column_encoding={"unique_id": "DELTA_BYTE_ARRAY"})


def one_line(path: Path) -> None:
    path.write_bytes(b"ds,y\n" + b"1" * 300_000_000)


def many_columns(path: Path) -> None:
    path.write_text(",".join(f"c{n}" for n in range(1_000_000)) + "\n" + "1," * 999_999 + "1\n")


def more_columns_than_used(path: Path) -> None:
    pq.write_table(pa.table({f"c{n}": pa.nulls(1) for n in range(MOST_COLUMNS + 1)}), path)


BOMBS: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "rows": (many_rows, ["1,000,000,000 rows", f"more than {MOST_ROWS:,}", "give fewer"]),
    "a text": (one_long_text, ["'unique_id' takes 9,313.2 GiB", "more than 4 GiB", "give shorter texts"]),
    "shared beginnings": (shared_beginnings, ["'unique_id' is encoded as DELTA_BYTE_ARRAY", "another encoding"]),
    "a line": (one_line, [f"a line is longer than {LONGEST_LINE >> 20} MiB (of 286 MiB in all)", "line break"]),
    "columns of CSV": (many_columns, [f"a line is longer than {LONGEST_LINE >> 20} MiB", "columns that are used"]),
    "columns of Parquet": (more_columns_than_used, ["10,001 columns", f"more than {MOST_COLUMNS:,}", "keep those"]),
}


@pytest.mark.parametrize("case", BOMBS)
def test_a_file_beyond_the_bounds_is_refused_before_it_takes_memory(case: str, tmp_path: Path) -> None:
    make, expected = BOMBS[case]
    make(tmp_path / "bomb.file")
    command = [sys.executable, "-c", REFUSE, str(tmp_path / "bomb.file")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    megabytes, _, message = done.stdout.partition(" ")
    assert int(megabytes) < 200
    assert message.count("\n") == 1
    for words in ["bomb.file: ", *expected]:
        assert words in message


def test_texts_without_a_dictionary_are_counted_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "MOST_TEXT", 1 << 30)
    table = pa.table({"unique_id": ["x" * 4_000_000], "ds": [0], "y": [1.0]})
    with pq.ParquetWriter(tmp_path / "f.parquet", table.schema, use_dictionary=False) as writer:
        for _ in range(300):
            writer.write_table(table)
    assert "column 'unique_id' takes 1.0 GiB uncompressed, more than 1 GiB" in refusal(tmp_path / "f.parquet")


def test_an_unused_column_is_not_read(tmp_path: Path) -> None:
    one_long_text(tmp_path / "f.parquet", "note")
    with pytest.raises(InputError, match="has no value at all"):
        read_series.fn(SeriesSpec(path=str(tmp_path / "f.parquet")))


@pytest.mark.parametrize("kind", ["gzip", "zip", "bzip2", "xz", "zstd"])
def test_a_compressed_csv_file_is_refused_by_its_kind(kind: str, tmp_path: Path) -> None:
    text = b"ds,y\n0,1\n1,2\n"
    packed = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("f.csv", text)
    packers = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "zstd": pa.Codec("zstd").compress}
    for name in (f"f.csv.{kind}", "f.csv"):
        (tmp_path / name).write_bytes(packed.getvalue() or packers[kind](text))
        message = refusal(tmp_path / name)
        assert f"it is compressed ({kind}); unpack it first, or write it as Parquet" in message


def test_the_name_of_a_csv_file_does_not_mean_that_it_is_compressed(tmp_path: Path) -> None:
    for ending in ("gz", "zip", "bz2", "xz", "zst", "tar"):
        path = tmp_path / f"f.csv.{ending}"
        path.write_text("ds,y\n0,1\n1,2\n")
        assert read_series.fn(SeriesSpec(path=str(path))).panel.values.tolist() == [1, 2]


# Files that hold more than values


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return Path.mkdir, (self.folder,)


def test_nothing_in_a_file_is_unpickled(tmp_path: Path) -> None:
    evil = pickle.dumps(Evil(tmp_path / "ran"))
    of_arrow = {"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": evil}
    fields = [pa.field("ds", pa.int64(), metadata=of_arrow), pa.field("y", pa.float64(), metadata={"pickle": evil})]
    table = pa.table([[0, 1], [1.0, 2.0]], schema=pa.schema(fields, metadata={"pandas": evil, "PANDAS_ATTRS": evil}))
    pq.write_table(table, tmp_path / "f.parquet")
    assert read_series.fn(SeriesSpec(path=str(tmp_path / "f.parquet"))).panel.values.tolist() == [1, 2]
    pq.write_table(pa.table({"ds": [0, 1], "y": [evil, evil]}), tmp_path / "f.parquet")
    assert "column 'y' holds binary; write numbers" in refusal(tmp_path / "f.parquet")
    assert not (tmp_path / "ran").exists()


STRANGE = {
    "periods": (
        pd.DataFrame({"ds": pd.period_range("2020", periods=2, freq="M"), "y": [1, 2]}),
        "'ds' holds extension",
    ),
    "intervals": (pd.DataFrame({"ds": [0, 1], "y": pd.interval_range(0, 2)}), "'y' holds extension<pandas.interval"),
    "lists": (pd.DataFrame({"ds": [0, 1], "y": [[1], [2]]}), "'y' holds list<element: int64>"),
    "structures": (pd.DataFrame({"ds": [0, 1], "y": [{"a": 1}, {"a": 2}]}), "'y' holds struct<a: int64>"),
    "bytes": (pd.DataFrame({"unique_id": [b"a", b"a"], "ds": [0, 1], "y": [1, 2]}), "'unique_id' holds binary"),
}


@pytest.mark.parametrize("case", STRANGE)
def test_columns_of_other_than_single_values_are_refused_by_type(case: str, tmp_path: Path) -> None:
    table, message = STRANGE[case]
    table.to_parquet(tmp_path / "f.parquet")
    assert message in refusal(tmp_path / "f.parquet")


def test_no_code_loads_a_pickle_or_yaml_that_makes_objects() -> None:
    loads = re.compile(r"pickle|torch\.load|joblib|\bdill\b|allow_pickle|\bshelve\b|\bmarshal\b|yaml\.(?!safe_)\w*load")
    loading_lines = {
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for floor in ("flows", "tasks", "models")
        for path in (ROOT / floor).rglob("*.py")
        for line in path.read_text().splitlines()
        if loads.search(line) and not re.search(r"(never|no|without) an? pickle|no pickle", line, re.IGNORECASE)
    }
    assert loading_lines == set()


def test_no_code_executes_text(mlflow_folder: Path) -> None:
    assert isinstance(TRACKER.client(), MlflowClient)
    runs = re.compile(r"(?<![\w.])(eval|exec)\(|shell=True|os\.system")
    for floor in ("flows", "tasks", "models"):
        for path in (ROOT / floor).rglob("*.py"):
            assert not runs.search(path.read_text()), path

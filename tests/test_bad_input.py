"""The user's mistakes: one clear line that names the value and what to do, exit status 2, and no file written."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flows.commands.app import run

DAYS = pd.date_range("2024-01-01", periods=80, freq="D").astype(str)


def good() -> pd.DataFrame:
    """Eighty days of a wave."""
    return pd.DataFrame({"ds": DAYS, "y": np.sin(np.arange(80) / 3).round(4)})


def csv(**columns: object) -> Callable[[Path], None]:
    """Write the good table with other or further columns."""
    return lambda path: good().assign(**columns).to_csv(path, index=False)


def text(content: str) -> Callable[[Path], None]:
    return lambda path: path.write_text(content) and None


def cell(column: str, row: int, value: object) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        table = good().astype(object)
        table.loc[row - 1, column] = value
        table.to_csv(path, index=False)

    return write


def renamed(old: str, new: str) -> Callable[[Path], None]:
    return lambda path: good().rename(columns={old: new}).to_csv(path, index=False)


def rows(count: int) -> Callable[[Path], None]:
    return lambda path: good().head(count).to_csv(path, index=False)


def nothing(path: Path) -> None:
    """Write no file."""


CASES: dict[str, tuple[Callable[[Path], None], str, list[str]]] = {
    # the mistake: (how the file is made, further arguments, what the line must contain)
    "no file": (nothing, "", ["there is no file", "f.csv", "--series.path"]),
    "a folder": (lambda path: path.mkdir(), "", ["f.csv is not a file", "--series.path"]),
    "empty file": (text(""), "", ["f.csv", "empty"]),
    "header only": (text("ds,y\n"), "", ["header but no rows"]),
    "bytes, not a table": (lambda path: path.write_bytes(bytes(range(256)) * 9) and None, "", ["neither a CSV file"]),
    "broken Parquet": (lambda path: path.write_bytes(b"PAR1" + b"x" * 99) and None, "", ["f.csv", "Parquet"]),
    "semicolons": (lambda path: good().to_csv(path, sep=";", index=False), "", ["'ds;y'", "commas"]),
    "ragged rows": (text("ds,y\n1,2\n3,4,5\n"), "", ["f.csv"]),
    "no time column": (
        renamed("ds", "day"),
        "",
        ["'ds'", "--series.time", "day"],
    ),
    "no value column": (
        renamed("y", "load"),
        "",
        ["'y'", "--series.value", "load"],
    ),
    "wrong column name": (csv(), "--series.value loud", ["'loud'", "--series.value", "'ds', 'y'"]),
    "wrong id column": (csv(), "--series.id place", ["'place'", "--series.id"]),
    "doubled column": (text("ds,y,y\n1,2,3\n2,3,4\n"), "", ["'y'", "2 columns 'y'", "rename"]),
    "text among numbers": (cell("y", 17, "broken"), "", ["'y'", "'broken'", "row 17", "not a number"]),
    "decimal comma": (cell("y", 3, "1,5"), "", ["'1,5'", "row 3"]),
    "a date as value": (csv(day=DAYS), "--series.value day", ["'day'", "2024-01-01", "row 1", "--series.value"]),
    "infinity": (cell("y", 9, "inf"), "", ["row 9", "inf", "not finite"]),
    "minus infinity": (cell("y", 9, "-inf"), "", ["row 9", "-inf"]),
    "doubled timestamp": (cell("ds", 5, "2024-01-04"), "", ["2024-01-04", "twice", "--series.id"]),
    "no timestamp": (cell("ds", 6, "soon"), "", ["'soon'", "row 6", "timestamp"]),
    "missing timestamp": (cell("ds", 6, None), "", ["'ds'", "row 6", "empty"]),
    "impossible date": (cell("ds", 8, "2024-02-31"), "", ["2024-02-31", "row 8"]),
    "fractional time": (csv(ds=np.arange(80) * 0.5), "", ["0.5", "row 2", "neither a timestamp nor an integer"]),
    "irregular times": (cell("ds", 80, "2024-03-20 07:30"), "", ["irregular", "2024-03-20T07:30", "resample"]),
    "no value at all": (csv(y=None), "", ["no value at all"]),
    "constant series": (csv(y=5.0), "", ["constant", "5", "nothing to learn"]),
    "missing value refused": (cell("y", 12, None), "--series.fill error", ["2024-01-12", "--series.fill last"]),
    "too short to train": (rows(20), "--window.length 32", ["too short", "--window.length"]),
    "too short to validate": (
        csv(),
        "--window.horizon 20 --split.validation 12",
        ["validation part has 12 points", "--window.horizon"],
    ),
    "one series of two too short": (
        lambda path: pd.concat([good().assign(unique_id="long"), good().head(30).assign(unique_id="brief")]).to_csv(
            path
        ),
        "--window.short error --window.length 32",
        ["'brief' is too short", "training part has 22 points", "--window.length"],
    ),
    "parts larger than the series": (csv(), "--split.test 70 --split.validation 30", ["80 points", "--split.test"]),
    "one row": (rows(1), "", ["only one time", "2024-01-01", "more rows"]),
    "one column for two": (csv(), "--series.value y --series.time y", ["'y'", "used twice", "--series.value"]),
    "day or month first": (
        csv(ds=[f"{day:02}/{month:02}/2024" for month in range(1, 11) for day in range(1, 9)]),
        "",
        ["'02/01/2024'", "row 2", "1 February or 2 January", "2020-01-31"],
    ),
    "unknown fill": (csv(), "--series.fill guess", ["--series.fill", "guess"]),
    "horizon for elman": (csv(), "--models elman --window.horizon 2", ["elman", "--window.horizon"]),
    "wave and file": (csv(), "--series.wave sine", ["--series.wave", "--series.path"]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_file_is_refused_in_one_clear_line(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make, arguments, expected = CASES[case]
    make(tmp_path / "f.csv")
    refused(["train", "--series.path", "f.csv", *arguments.split()], expected, tmp_path, monkeypatch, capsys)


OPTIONS: dict[str, list[str]] = {
    # a command line: what the line must contain
    "train gru-sin": ["'gru-sin'", "gru-sine", "--series.path"],
    "train sine --models gruu": ["'gruu'", "rnn, gru, lstm"],
    "train sine --models gru,gru": ["'gru'", "twice"],
    "train sine --fit.epochs 0": ["--fit.epochs", "'0'", "greater than or equal to 1"],
    "train sine --fit.epochs many": ["--fit.epochs", "'many'", "integer"],
    "train sine --fit.learning-rate -1": ["--fit.learning-rate", "greater than 0"],
    "train sine --window.length 0": ["--window.length"],
    "train sine --window.length 5000": ["too short", "--window.length"],
    "train sine --series.wave square": ["--series.wave", "square", "sine"],
    "train sine --series.points 2": ["--series.points"],
    "train sine --series.stop 0": ["has no length", "--series.stop"],
    "train sine --series.stop nan": ["--series.stop", "finite"],
    "train sine --split.test 1.5": ["--split.test", "1.5", "whole number"],
    "train sine --device tpu": ["--device", "tpu"],
    "train sine --device cpu --fit.precision bf16": ["--fit.precision bf16", "GPU", "float32"],
    "train sine --seed -1": ["--seed"],
    "train sine --speed 3": ["--speed"],
    "train sine --json .": ["--json .", "is a folder"],
    "train sine --json no/such/folder/out.json": ["--json", "no/such/folder"],
    "fly": ["fly", "train"],
}


@pytest.mark.parametrize("line", OPTIONS)
def test_an_impossible_option_is_refused_in_one_clear_line(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(line.split(), OPTIONS[line], tmp_path, monkeypatch, capsys)


def refused(
    arguments: list[str],
    expected: list[str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Run the command in `folder`: it must refuse with one line that contains all of `expected`, and write nothing."""
    monkeypatch.chdir(folder)
    before = sorted(folder.iterdir())
    assert run(arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("tidecast: ")
    assert output.err.count("\n") == 1, output.err
    for words in expected:
        assert words in output.err
    assert sorted(folder.iterdir()) == before


def test_cuda_is_an_error_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    refused(["train", "sine", "--device", "cuda"], ["--device cuda", "--device cpu"], tmp_path, monkeypatch, capsys)

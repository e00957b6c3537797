"""A command reads its file once: its flow uses the series that the check has read."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from flows.commands.app import run
from models.data.panel import panel_from_frame
from models.specs import SeriesSpec
from tasks.data import series as series_file
from tasks.resuming import run_state

COMMANDS = (
    "train --series.path waves.csv --models elman --elman.epochs 2 --window.length 8 --horizon 1 "
    "--gate.linear-ar=false",
    "forecast --model waves --horizon 3",
    "monitor --model waves",
    "backtest --series.path waves.csv --models elman --elman.epochs 2 --window.length 8 --horizon 1 --stride 9",
)
"""In this order: a model is trained, its forecast is made, and that is scored."""


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of rows at each reading of a file."""
    counts = list[int]()

    def counted(frame: pd.DataFrame, *arguments: Any) -> Any:
        counts.append(len(frame))
        return panel_from_frame(frame, *arguments)

    monkeypatch.setattr(series_file, "panel_from_frame", counted)
    return counts


@pytest.fixture
def folder(prefect_server: None, mlflow_folder: Path) -> Path:
    table = {"ds": pd.date_range("2024-01-01", periods=90, freq="h"), "y": np.sin(np.arange(90) / 3)}
    pd.DataFrame(table).to_csv(mlflow_folder / "waves.csv", index=False)
    return mlflow_folder


@pytest.mark.parametrize("line", COMMANDS, ids=lambda line: line.split()[0])
def test_a_command_reads_its_file_once(line: str, folder: Path, reads: list[int]) -> None:
    assert run(line.split()) == 0
    assert reads == [90]


def test_sync_reads_the_file_of_a_run_once(folder: Path, reads: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    series = {"path": "waves.csv"}
    parameters = {"models": ["elman"], "series": series, "elman": {"epochs": 2}, "window": {"length": 8}}
    sha256 = series_file.read_series.fn(SeriesSpec(**series)).sha256
    key = run_state.resume_key("train", parameters, sha256, "cpu")
    undelivered = {"flow": "train", "parameters": parameters, "device": "cpu"}
    monkeypatch.setattr(run_state, "undelivered_run_states", lambda: [Path(f"{key}-1")])
    monkeypatch.setattr(run_state, "read_run_state", lambda _: undelivered)
    reads.clear()
    assert run(["sync"]) == 0
    assert reads == [90]

"""What the benchmarks compute, apart from the time that it takes."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import backtest, gpu, measuring, memory, peers, quality, training
from models.baselines import BASELINES


def test_works_are_measured_in_turn_and_the_first_round_does_not_count() -> None:
    calls: list[str] = []

    def work(name: str) -> float:
        calls.append(name)
        return float(len(calls))

    seconds = measuring.interleaved({"a": lambda: work("a"), "b": lambda: work("b")}, rounds=2)
    assert calls == ["a", "b"] * 3
    assert seconds == {"a": [3, 5], "b": [4, 6]}


def test_the_median_ratio_is_taken_round_by_round() -> None:
    assert measuring.median_ratio([2, 30, 8], [1, 10, 2]) == 3


def test_training_writes_the_rows_that_scripts_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(training, "CASES", [training.Case("gru", 2, 4, 3, 5)])
    monkeypatch.setattr(training, "MIN_SECONDS", 0.001)
    monkeypatch.setattr(sys, "argv", ["training", "--rounds", "1", "--json", str(tmp_path / "rows.json")])
    training.main()
    written = json.loads((tmp_path / "rows.json").read_text())
    (row,) = written["rows"]
    names = "cell members hidden window batch ms reference_ms speedup gflops peak_gflops"
    assert set(names.split()) <= set(row)
    assert (row["cell"], row["members"], row["hidden"], row["window"], row["batch"]) == ("gru", 2, 4, 3, 5)
    assert row["speedup"] == pytest.approx(row["reference_ms"] / row["ms"])
    assert row["gflops"] == pytest.approx(6 * 2 * 5 * 3 * 3 * 4 * 5 / row["ms"] / 1e6)
    assert written["two_threads"][0]["two_threads_ms"] > 0
    assert "| gru | 2 | 4 | 3 | 5 |" in capsys.readouterr().out


def test_windows_are_not_copied_on_the_way_to_training() -> None:
    """A series of a million points takes less than one copy of its windows, which would be 512 times its size."""
    base, large = memory.measure_in_process(20_000, 512), memory.measure_in_process(400_000, 512)
    assert (large["training"] - base["training"]) / (8 * 400_000) < 16


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere ru_maxrss is right")
def test_the_peak_memory_of_a_process_does_not_include_that_of_its_parent() -> None:
    memory_of_parent = np.ones(40_000_000)  # 320 MB
    code = "from benchmarks.memory import peak; print(peak())"
    child = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert int(child.stdout) < memory_of_parent.nbytes


@pytest.mark.parametrize("case", [backtest.Case("rnn", 2, 24, "hour"), backtest.Case("linear_ar", 1, 1, "")])
def test_a_backtest_in_one_pass_gives_the_forecasts_of_one_origin_at_a_time(
    case: backtest.Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backtest, "CASES", [case])
    monkeypatch.setattr(backtest, "SAMPLED", 3)
    monkeypatch.setattr(backtest, "WINDOWS", 64)
    monkeypatch.setattr(sys, "argv", ["backtest", "--rounds", "1", "--json", str(tmp_path / "rows.json")])
    backtest.main()
    (row,) = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert (row["model"], row["members"], row["head"], row["origins"]) == (case.model, case.members, case.head, 2785)
    assert row["difference"] < 1e-9
    assert row["ratio"] == pytest.approx(row["seconds"] / row["alone_seconds"])
    assert row["peak_MB"] < 1000


def test_quality_scores_every_model_and_baseline_of_a_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every day is the last one plus 0.1, so that is the error of the seasonal naive, whose MASE is 1."""
    hours = np.arange(400)
    times, values = (
        pd.date_range("2020-01-01", periods=400, freq="h"),
        2 + np.sin(hours * np.pi / 12) + hours // 24 / 10,
    )
    pd.DataFrame({"date": times, "OT": values}).to_csv(tmp_path / "days.csv", index=False)
    tiny = {
        "horizon": 12,
        "split": {"train": 240, "validation": 80, "test": 80},
        "window": {"length": 24},
        "fit": {"epochs": 1},
    }
    monkeypatch.setattr(quality, "CASES", [quality.Case("etth1", "days.csv", name, tiny) for name in quality.MEASURES])
    monkeypatch.setattr(sys, "argv", ["quality", "--json", str(tmp_path / "rows.json")])
    monkeypatch.setenv(quality.FOLDER, str(tmp_path))
    quality.main()
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    names = ["rnn", "gru", "lstm", "combined", *BASELINES]
    assert [(row["measure"], row["model"]) for row in rows] == [(m, name) for m in quality.MEASURES for name in names]
    error, owa, smape = (row["figure"] for row in rows if row["model"] == "seasonal_naive")
    assert error == pytest.approx(0.01 / values[:240].var())
    assert owa == pytest.approx((smape / 18.383 + 1 / 2.395) / 2)
    assert [row["chosen"] for row in rows].count("yes") == len(quality.MEASURES)
    assert all(0 <= row["coverage"] <= 1 for row in rows if row["model"] == "gru")
    assert "| etth1 | 12 | gru | OWA |" in capsys.readouterr().out


@pytest.mark.parametrize(("folder", "message"), [("", "names no folder"), ("empty", "has no ETTh1.csv, ")])
def test_without_its_data_the_quality_benchmark_says_what_is_missing(
    folder: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(quality.FOLDER, folder)
    monkeypatch.setattr(sys, "argv", ["quality"])
    quality.main()
    (line,) = capsys.readouterr().out.splitlines()
    assert message in line
    assert line.startswith("quality: ")
    assert line.endswith("so nothing was measured")


def test_without_a_gpu_the_gpu_benchmark_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu"])
    gpu.main()
    assert capsys.readouterr().out == "gpu: no CUDA device is here, so nothing was measured\n"


def test_without_the_peers_environment_the_benchmark_names_the_way_to_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(peers, "PEERS", tmp_path / "python")
    monkeypatch.setattr(sys, "argv", ["peers"])
    assert peers.main() == 2
    assert "make bench-peers" in capsys.readouterr().err

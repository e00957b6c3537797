"""The benchmarks, as far as they can be held to something other than time."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import gpu, measuring, memory, peers, training


def test_works_are_measured_in_turn_and_their_first_run_does_not_count() -> None:
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
    monkeypatch.setattr(training, "LEAST_SECONDS", 0.001)
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
    base, large = memory.in_a_process(20_000, 512), memory.in_a_process(400_000, 512)
    assert (large["training"] - base["training"]) / (8 * 400_000) < 16


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

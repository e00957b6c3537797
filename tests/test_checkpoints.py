"""A forecaster on disk: it comes back as it was, whole, and without a pickle."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.checkpoints import load_forecaster, save_forecaster, write_whole
from models.errors import InputError
from models.forecaster import Forecaster, build_network
from models.panel import Panel, panel_from_frame
from models.scaling import fit_scaling
from models.specs import FitSpec, ModelSpec, RecurrentSpec, WindowSpec


def rows(model: str) -> pd.DataFrame:
    """Two series of 40 days, or the one that an Elman network learns."""
    days = pd.date_range("2024-01-01", periods=40, freq="D")
    names = ["a"] if model == "elman" else ["a", "b"]
    wave = np.sin(np.arange(40) / 2)
    return pd.concat([pd.DataFrame({"unique_id": n, "ds": days, "y": wave * (i + 1)}) for i, n in enumerate(names)])


def trained(model: str) -> tuple[Forecaster, Panel]:
    panel, _ = panel_from_frame(rows(model), "last")
    fit, recurrent = FitSpec(epochs=2, members=2), RecurrentSpec(hidden=4)
    spec = ModelSpec(model=model, window=WindowSpec(length=5), fit=fit, recurrent=recurrent)
    network, scaling = build_network(spec), fit_scaling(panel, panel.ends)
    for epoch in network.fit(scaling.scale(panel), np.arange(5, 30), None):
        if epoch.number == 2:
            break
    return Forecaster(spec, scaling, network), panel


@pytest.mark.parametrize("model", ["rnn", "gru", "lstm", "elman", "numpy_rnn"])
def test_a_forecaster_comes_back_as_it_was(model: str, tmp_path: Path) -> None:
    forecaster, panel = trained(model)
    save_forecaster(forecaster, tmp_path)
    again = load_forecaster(tmp_path)
    assert again.spec == forecaster.spec
    np.testing.assert_array_equal(again.extend(panel, 7), forecaster.extend(panel, 7))
    np.testing.assert_array_equal(again.predict(panel, np.arange(9, 40)), forecaster.predict(panel, np.arange(9, 40)))


def test_a_forecast_goes_on_in_time_from_the_last_row() -> None:
    forecaster, _ = trained("gru")
    forecast = forecaster.forecast(rows("gru"), 3)
    assert list(forecast.columns) == ["unique_id", "cutoff", "ds", "gru"]
    assert forecast["unique_id"].tolist() == ["a"] * 3 + ["b"] * 3
    assert forecast["ds"].tolist()[:3] == [pd.Timestamp(f"2024-02-{day:02}") for day in (10, 11, 12)]
    assert set(forecast["cutoff"]) == {pd.Timestamp("2024-02-09")}


def test_a_series_that_is_too_short_for_the_window_is_named() -> None:
    forecaster, _ = trained("gru")
    with pytest.raises(InputError, match=r"'a' has 4 values.*last 5"):
        forecaster.forecast(rows("gru").head(4), 3)


def test_the_files_are_weights_and_json_and_nothing_else(tmp_path: Path) -> None:
    save_forecaster(trained("gru")[0], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["forecaster.json", "weights.safetensors"]
    assert json.loads((tmp_path / "forecaster.json").read_text())["spec"]["model"] == "gru"


def test_a_folder_without_its_weights_is_refused(tmp_path: Path) -> None:
    save_forecaster(trained("gru")[0], tmp_path)
    (tmp_path / "weights.safetensors").unlink()
    with pytest.raises(InputError, match=r"no weights.safetensors"):
        load_forecaster(tmp_path)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"


def test_the_rnn_from_scratch_is_loaded_without_pytorch(tmp_path: Path) -> None:
    save_forecaster(trained("numpy_rnn")[0], tmp_path)
    code = "import sys; from pathlib import Path; from models.checkpoints import load_forecaster; "
    code += "load_forecaster(Path(sys.argv[1])); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

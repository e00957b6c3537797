"""A forecaster on disk: it is restored to the bit, never from a pickle, and refused if it was altered."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.data.covariates import CovariateNames
from models.data.panel import Panel, panel_from_frame
from models.data.scaling import fit_scaling
from models.errors import InputError
from models.files import write_atomically
from models.forecaster import Forecaster, build_network, covariate_names_of, layout_of
from models.intervals import Intervals
from models.saving import load_forecaster, save_forecaster
from models.specs import FitSpec, ModelSpec, RecurrentSpec, WindowSpec


def rows(model: str) -> pd.DataFrame:
    """Two series of 40 days, or the single one that an Elman network learns."""
    days = pd.date_range("2024-01-01", periods=40, freq="D")
    names = ["a"] if model == "elman" else ["a", "b"]
    wave = np.sin(np.arange(40) / 2)
    return pd.concat([pd.DataFrame({"unique_id": n, "ds": days, "y": wave * (i + 1)}) for i, n in enumerate(names)])


def trained(model: str) -> tuple[Forecaster, Panel]:
    panel, _ = panel_from_frame(rows(model), "last")
    fit, recurrent = FitSpec(epochs=2, members=2), RecurrentSpec(hidden=4)
    spec = ModelSpec(model=model, window=WindowSpec(length=5), fit=fit, recurrent=recurrent)
    network, scaling = build_network(spec), fit_scaling(panel, panel.ends, spec.window)
    for epoch in network.fit(scaling.scale(panel), np.arange(5, 30), None):
        if epoch.number == 2:
            break
    return Forecaster(spec, scaling, network, step=panel.step), panel


@pytest.mark.parametrize("model", ["rnn", "gru", "lstm", "elman", "numpy_rnn"])
def test_a_forecaster_is_restored_as_it_was(model: str, tmp_path: Path) -> None:
    forecaster, panel = trained(model)
    save_forecaster(forecaster, tmp_path)
    again = load_forecaster(tmp_path)
    assert again.spec == forecaster.spec
    np.testing.assert_array_equal(again.extend(panel, 7), forecaster.extend(panel, 7))
    np.testing.assert_array_equal(again.predict(panel, np.arange(9, 40)), forecaster.predict(panel, np.arange(9, 40)))


def trained_with_everything(scope: str, transform: str) -> tuple[Forecaster, Panel, pd.DataFrame]:
    """A forecaster with all that is saved: covariates of all kinds, a calendar, intervals, a rule for gaps."""
    frame = pd.concat([rows("gru"), pd.DataFrame({"unique_id": ["a", "b"], "ds": pd.Timestamp("2024-02-10")})])
    frame["y"] = frame["y"] + 5
    frame["sale"], frame["heat"] = np.cos(np.arange(82) / 3), np.sin(np.arange(82) / 7)
    frame["size"] = frame["unique_id"].map({"a": 1.0, "b": 2.0})
    names = CovariateNames(past=("heat",), known=("sale",), static=("size",))
    panel, _ = panel_from_frame(frame, "linear", names)
    spec = ModelSpec.model_validate(
        {
            "model": "lstm",
            "window": {"length": 5, "horizon": 2, "transform": transform, "scale": "robust", "calendar": "weekday"},
            "recurrent": {
                "hidden": 4,
                "highway": 2,
                "input_offset": "mean",
                "target_offset": "season",
                "window_scale": "window",
            },
            "fit": {"epochs": 2, "members": 2, "scope": scope, "combine": "mean", "loss": "mae"},
            "season": 3,
        }
    )
    network, scaling = build_network(spec, layout=layout_of(spec, panel)), fit_scaling(panel, panel.ends, spec.window)
    origins = np.concatenate([np.arange(5, 30), np.arange(45, 70)])
    for _ in network.fit(scaling.scale(panel, network.dtype), origins, None):
        pass
    intervals, scales = Intervals(80, np.array([0.1, 1 / 3, np.nan])), {"a": 0.1, "b": 7.0}
    return (
        Forecaster(spec, scaling, network, "linear", covariate_names_of(panel), intervals, scales, panel.step),
        panel,
        frame,
    )


@pytest.mark.parametrize("transform", ["none", "log", "difference"])
@pytest.mark.parametrize("scope", ["global", "local"])
def test_covariates_intervals_and_networks_of_each_series_are_restored_to_the_bit(
    scope: str, transform: str, tmp_path: Path
) -> None:
    forecaster, panel, frame = trained_with_everything(scope, transform)
    save_forecaster(forecaster, tmp_path)
    again = load_forecaster(tmp_path)
    assert (again.spec, again.fill, again.covariate_names) == (forecaster.spec, "linear", forecaster.covariate_names)
    assert again.covariate_names == CovariateNames(past=("heat",), known=("sale",), static=("size",))
    assert again.interval_scales == forecaster.interval_scales == {"a": 0.1, "b": 7.0}
    assert again.network.layout == forecaster.network.layout
    assert again.network.layout.ids == (panel.ids if scope == "local" else ())
    origins = np.array([9, 38, 50, 79])
    np.testing.assert_array_equal(again.predict(panel, origins), forecaster.predict(panel, origins))
    expected = forecaster.forecast(frame, 1)
    assert list(expected.columns) == ["unique_id", "cutoff", "ds", "lstm", "lstm-lo-80", "lstm-hi-80"]
    pd.testing.assert_frame_equal(again.forecast(frame, 1), expected, check_exact=True)
    assert (expected["lstm-hi-80"] - expected["lstm-lo-80"]).tolist() == pytest.approx([2 * 0.1 * 0.1, 2 * 0.1 * 7])


@pytest.mark.parametrize("scope", ["global", "local"])
def test_a_training_goes_on_from_a_loaded_forecaster_as_from_the_original(scope: str, tmp_path: Path) -> None:
    forecaster, panel, _ = trained_with_everything(scope, "none")
    save_forecaster(forecaster, tmp_path)
    pair = [forecaster, load_forecaster(tmp_path)]
    for one in pair:
        for _ in one.network.fit(one.scaling.scale(panel, one.network.dtype), np.arange(5, 30), None):
            pass
    np.testing.assert_array_equal(*(one.predict(panel, np.array([30, 70])) for one in pair))


def test_a_series_shorter_than_the_window_is_padded_if_the_training_did_so() -> None:
    spec = ModelSpec.model_validate(
        {"model": "gru", "window": {"length": 5, "short": "pad"}, "recurrent": {"hidden": 4}}
    )
    panel, _ = panel_from_frame(rows("gru"), "last")
    forecaster = Forecaster(spec, fit_scaling(panel, panel.ends, spec.window), build_network(spec), step=panel.step)
    short = rows("gru").groupby("unique_id").head(2)
    days = pd.DataFrame(
        {"unique_id": list("aaabbb"), "ds": pd.to_datetime(["2023-12-29", "2023-12-30", "2023-12-31"] * 2)}
    )
    long = pd.concat([days.assign(y=0.0), short])
    forecast = forecaster.forecast(short, 3)
    assert forecast["ds"].tolist()[:3] == [pd.Timestamp(f"2024-01-0{day}") for day in (3, 4, 5)]
    pd.testing.assert_frame_equal(forecaster.forecast(long, 3), forecast)  # the wave begins at 0


def test_a_forecast_continues_from_the_last_row() -> None:
    forecaster, _ = trained("gru")
    forecast = forecaster.forecast(rows("gru"), 3)
    assert list(forecast.columns) == ["unique_id", "cutoff", "ds", "gru"]
    assert forecast["unique_id"].tolist() == ["a"] * 3 + ["b"] * 3
    assert forecast["ds"].tolist()[:3] == [pd.Timestamp(f"2024-02-{day:02}") for day in (10, 11, 12)]
    assert set(forecast["cutoff"]) == {pd.Timestamp("2024-02-09")}


def test_a_series_too_short_for_the_window_is_refused_by_name() -> None:
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


@pytest.mark.parametrize("name", ["weights.safetensors", "forecaster.json"])
def test_a_file_altered_since_it_was_saved_is_refused(name: str, tmp_path: Path) -> None:
    forecaster, _ = trained("gru")
    sha256 = save_forecaster(forecaster, tmp_path)
    load_forecaster(tmp_path, sha256=sha256)
    content = bytearray((tmp_path / name).read_bytes())
    content[-3] ^= 1
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name} was altered since it was saved"):
        load_forecaster(tmp_path, sha256=sha256)


OLD_DESCRIPTION = """{
  "spec": {"model": "numpy_rnn", "window": {"length": 5, "short": "error"}, "season": 1, "seed": 0},
  "fill": "last",
  "scaling": {"a": [0.5, 2.0]},
  "columns": {"past": [], "known": [], "static": []},
  "column_scaling": [[], []],
  "layout": {"columns": 0, "known": 0, "ids": []},
  "intervals": {"level": 90, "sizes": [1.5]},
  "units": {"a": 0.25},
  "weights_sha256": "0"
}
"""


@pytest.mark.parametrize(("description", "number"), [(OLD_DESCRIPTION, 1), ('{"format": 4}', 4)])
def test_a_forecaster_of_another_format_is_refused_in_one_line(description: str, number: int, tmp_path: Path) -> None:
    folder = tmp_path / "north"
    folder.mkdir()
    (folder / "forecaster.json").write_text(description)
    (folder / "weights.safetensors").write_bytes(b"not read")
    for sha256 in (None, hashlib.sha256(description.encode()).hexdigest()):
        with pytest.raises(InputError) as caught:
            load_forecaster(folder, sha256=sha256)
        assert str(caught.value) == (
            f"north was saved by another version of Tidecast (format {number}; this one reads format 3); train it again"
        )
    with pytest.raises(InputError, match=r"forecaster\.json was altered since it was saved"):
        load_forecaster(folder, sha256="0")


def test_a_description_names_what_it_holds(tmp_path: Path) -> None:
    save_forecaster(trained_with_everything("global", "none")[0], tmp_path)
    description = json.loads((tmp_path / "forecaster.json").read_text())
    assert description["format"] == 3
    assert description["covariate_names"] == {"past": ["heat"], "known": ["sale"], "static": ["size"]}
    assert [len(part) for part in description["covariate_scaling"]] == [3, 3]
    assert description["interval_scales"] == {"a": 0.1, "b": 7.0}
    assert description["intervals"]["half_widths"][:2] == [0.1, 1 / 3]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail_on_a_full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail_on_a_full_disk)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"


def test_the_rnn_from_scratch_is_loaded_without_pytorch(tmp_path: Path) -> None:
    save_forecaster(trained("numpy_rnn")[0], tmp_path)
    code = "import sys; from pathlib import Path; from models.saving import load_forecaster; "
    code += "load_forecaster(Path(sys.argv[1])); print('torch' in sys.modules)"
    process = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "False"

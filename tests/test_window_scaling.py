"""Offsets and scales of windows, by hand."""

import pytest
import torch

from models.population.window_scaling import (
    LEAST_DEVIATION,
    TrainingScales,
    WindowScaling,
    measure_training_scales,
    scale_windows,
)
from models.specs import RecurrentSpec

WINDOWS = torch.tensor([[1.0, 5.0, 3.0, 7.0], [2.0, 2.0, 2.0, 2.0]]).t().unsqueeze(1)  # [T, K, B], T = 4, K = 1, B = 2
SCALES = TrainingScales(torch.tensor([[2.0]]), torch.tensor([[10.0]]), least_deviation=torch.tensor([[0.5]]))
ROOT5 = 5**0.5
"""The deviation of 1, 5, 3 and 7 from their mean, 4: the root of (9 + 1 + 1 + 9) / 4."""


def scaling(horizon: int = 1, season: int = 1, **spec: str) -> WindowScaling:
    return scale_windows(WINDOWS, RecurrentSpec.model_validate(spec), season, horizon, SCALES)


@pytest.mark.parametrize(("offset", "values", "scale"), [("none", [0, 0], 1), ("last", [7, 2], 2), ("mean", [4, 2], 2)])
def test_inputs_are_taken_as_they_are_or_relative_to_the_last_value_or_the_mean(
    offset: str, values: list[float], scale: float
) -> None:
    of_windows = scaling(input_offset=offset)
    assert of_windows.input_offset.tolist() == [values]
    assert of_windows.input_scale.expand(1, 2).tolist() == [[scale, scale]]  # without an offset, the panel's own scale


@pytest.mark.parametrize(
    ("offset", "values", "scale"), [("none", [0, 0], 1), ("last", [7, 2], 10), ("mean", [4, 2], 10)]
)
def test_targets_are_taken_as_they_are_or_relative_to_the_last_value_or_the_mean(
    offset: str, values: list[float], scale: float
) -> None:
    of_windows = scaling(target_offset=offset)
    assert of_windows.target_offset.squeeze(-1).tolist() == [values]
    assert of_windows.target_scale.expand(1, 2).tolist() == [[scale, scale]]


def test_the_seasonal_offset_repeats_the_windows_last_season() -> None:
    of_windows = scaling(horizon=5, season=3, target_offset="season")
    assert of_windows.target_offset[0, 0].tolist() == [5, 3, 7, 5, 3]
    assert of_windows.target_offset[0, 1].tolist() == [2] * 5
    assert of_windows.target_scale.expand(1, 2).tolist() == [[10, 10]]


@pytest.mark.parametrize("offset", ["none", "last", "mean"])
def test_with_window_scale_all_scales_are_multiplied_by_the_windows_deviation(offset: str) -> None:
    of_windows = scaling(input_offset=offset, target_offset=offset, window_scale="window")
    inputs, targets = (1, 1) if offset == "none" else (2, 10)
    assert of_windows.input_scale[0].tolist() == pytest.approx([inputs * ROOT5, inputs * 0.5])
    assert of_windows.target_scale[0].tolist() == pytest.approx([targets * ROOT5, targets * 0.5])
    assert of_windows.error_scale[0].tolist() == pytest.approx([ROOT5, 0.5])  # a constant window has the least one


@pytest.mark.parametrize("input_offset", ["last", "mean"])
@pytest.mark.parametrize("target_offset", ["last", "mean", "season"])
def test_a_shifted_and_stretched_window_gives_the_same_inputs_and_a_forecast_shifted_and_stretched(
    input_offset: str, target_offset: str
) -> None:
    options = {"input_offset": input_offset, "target_offset": target_offset, "window_scale": "window"}
    spec = RecurrentSpec.model_validate(options)
    windows = torch.randn(12, 1, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    inputs, forecasts = [], []
    for moved in (windows, 100 + 30 * windows):
        of_windows = scale_windows(moved, spec, 4, 2, SCALES)
        inputs.append((moved - of_windows.input_offset) / of_windows.input_scale)
        forecasts.append(of_windows.target_offset + of_windows.target_scale.unsqueeze(-1) * 0.7)
    torch.testing.assert_close(*inputs)
    torch.testing.assert_close(100 + 30 * forecasts[0], forecasts[1])


def test_each_member_has_scales_of_its_own() -> None:
    of_members = TrainingScales(torch.tensor([[2.0], [3.0]]), torch.tensor([[10.0], [20.0]]), torch.ones(2, 1))
    of_windows = scale_windows(WINDOWS.expand(-1, 2, -1), RecurrentSpec(), 1, 1, of_members)
    assert of_windows.input_scale.expand(2, 2).tolist() == [[2, 2], [3, 3]]
    assert of_windows.target_scale.expand(2, 2).tolist() == [[10, 10], [20, 20]]


def measure(windows: list[list[float]], targets: list[list[float]], season: int = 1, **spec: str) -> list[float]:
    transposed = torch.tensor(windows).t()  # [T, M]
    return list(measure_training_scales(transposed, torch.tensor(targets), RecurrentSpec.model_validate(spec), season))


def test_training_scales_are_root_mean_squares_of_inputs_and_targets_about_their_offsets() -> None:
    inputs, targets, least = measure([[1.0, 4.0], [9.0, 5.0]], [[7.0, 5.0], [8.0, 5.0]])
    assert inputs == pytest.approx(((9 + 0 + 16 + 0) / 4) ** 0.5)
    assert targets == pytest.approx(((9 + 1 + 9 + 0) / 4) ** 0.5)
    deviation = ((1.5**2 + 2**2) / 2) ** 0.5  # of 1 and 4, and of 9 and 5
    assert least == pytest.approx(LEAST_DEVIATION * deviation)


def test_missing_targets_are_left_out_and_a_scale_of_0_becomes_1() -> None:
    nan = float("nan")
    assert measure([[1.0, 4.0]], [[6.0, nan]])[1] == 2
    assert measure([[4.0, 4.0]], [[4.0]]) == [1, 1, 1]
    assert measure([[1.0, 4.0]], [[nan]])[1] == 1


def test_with_window_scale_training_scales_are_measured_in_units_of_each_windows_deviation() -> None:
    inputs, targets, _ = measure([[0.0, 2.0], [0.0, 20.0]], [[5.0], [50.0]], window_scale="window")
    assert inputs == pytest.approx(2**0.5)  # deviations are 1 and 10, so -2 and 0 twice
    assert targets == pytest.approx(3)

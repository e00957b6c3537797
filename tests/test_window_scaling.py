"""The frame in which a network sees a window, by hand."""

import pytest
import torch

from models.population.window_scaling import (
    LEAST,
    TrainingScales,
    WindowScaling,
    measure_training_scales,
    scale_windows,
)
from models.specs import RecurrentSpec

WINDOWS = (
    torch.tensor([[1.0, 5.0, 3.0, 7.0], [2.0, 2.0, 2.0, 2.0]]).t().unsqueeze(1)
)  # [T, K, B], 4 values of 2 windows
USUAL = TrainingScales(spread=torch.tensor([[2.0]]), change=torch.tensor([[10.0]]), least=torch.tensor([[0.5]]))
ROOT5 = 5**0.5
"""The deviation of 1, 5, 3 and 7 from their mean, 4: the root of (9 + 1 + 1 + 9) / 4."""


def frame(horizon: int = 1, season: int = 1, **spec: str) -> WindowScaling:
    return scale_windows(WINDOWS, RecurrentSpec.model_validate(spec), season, horizon, USUAL)


@pytest.mark.parametrize(
    ("input_offset", "centre", "size"), [("none", [0, 0], 1), ("last", [7, 2], 2), ("mean", [4, 2], 2)]
)
def test_what_is_read_is_a_value_or_how_far_it_is_from_the_last_one_or_the_mean(
    input_offset: str, centre: list[float], size: float
) -> None:
    found = frame(input_offset=input_offset)
    assert found.centre.tolist() == [centre]
    assert found.size.expand(1, 2).tolist() == [[size, size]]  # a value counts in the panel's scale


@pytest.mark.parametrize(
    ("target_offset", "base", "factor"), [("none", [0, 0], 1), ("last", [7, 2], 10), ("mean", [4, 2], 10)]
)
def test_what_is_answered_is_a_value_or_how_far_it_goes_from_the_last_one_or_the_mean(
    target_offset: str, base: list[float], factor: float
) -> None:
    found = frame(target_offset=target_offset)
    assert found.base.squeeze(-1).tolist() == [base]
    assert found.factor.expand(1, 2).tolist() == [[factor, factor]]


def test_each_step_is_measured_from_the_value_a_season_before_again_and_again() -> None:
    found = frame(horizon=5, season=3, target_offset="season")
    assert found.base[0, 0].tolist() == [5, 3, 7, 5, 3]
    assert found.base[0, 1].tolist() == [2] * 5
    assert found.factor.expand(1, 2).tolist() == [[10, 10]]


@pytest.mark.parametrize("input_offset", ["none", "last", "mean"])
def test_a_windows_own_deviation_counts_where_it_is_the_unit(input_offset: str) -> None:
    found = frame(input_offset=input_offset, target_offset=input_offset, window_scale="window")
    training_scales = (1, 1) if input_offset == "none" else (2, 10)
    assert found.size[0].tolist() == pytest.approx([training_scales[0] * ROOT5, training_scales[0] * 0.5])
    assert found.factor[0].tolist() == pytest.approx([training_scales[1] * ROOT5, training_scales[1] * 0.5])
    assert found.unit[0].tolist() == pytest.approx([ROOT5, 0.5])  # a constant window counts as the least


@pytest.mark.parametrize("input_offset", ["last", "mean"])
@pytest.mark.parametrize("target_offset", ["last", "mean", "season"])
def test_a_window_shifted_and_stretched_reads_alike_and_its_answer_moves_along(
    input_offset: str, target_offset: str
) -> None:
    spec = RecurrentSpec.model_validate(
        {"input_offset": input_offset, "target_offset": target_offset, "window_scale": "window"}
    )
    windows = torch.randn(12, 1, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    seen = []
    for own in (windows, 100 + 30 * windows):
        found = scale_windows(own, spec, 4, 2, USUAL)
        seen.append(((own - found.centre) / found.size, found.base + found.factor.unsqueeze(-1) * 0.7))
    torch.testing.assert_close(seen[0][0], seen[1][0])
    torch.testing.assert_close(100 + 30 * seen[0][1], seen[1][1])


def test_members_count_in_their_own_units() -> None:
    training_scales = TrainingScales(torch.tensor([[2.0], [3.0]]), torch.tensor([[10.0], [20.0]]), torch.ones(2, 1))
    found = scale_windows(WINDOWS.expand(-1, 2, -1), RecurrentSpec(), 1, 1, training_scales)
    assert found.size.expand(2, 2).tolist() == [[2, 2], [3, 3]]
    assert found.factor.expand(2, 2).tolist() == [[10, 10], [20, 20]]


def training_scales(
    windows: list[list[float]], targets: list[list[float]], season: int = 1, **spec: str
) -> list[float]:
    told = torch.tensor(windows).t(), torch.tensor(targets)
    return list(measure_training_scales(*told, RecurrentSpec.model_validate(spec), season))


def test_what_is_usual_is_the_root_mean_square_of_what_is_read_and_answered() -> None:
    spread, change, least = training_scales([[1.0, 4.0], [9.0, 5.0]], [[7.0, 5.0], [8.0, 5.0]])
    assert spread == pytest.approx(((9 + 0 + 16 + 0) / 4) ** 0.5)
    assert change == pytest.approx(((9 + 1 + 9 + 0) / 4) ** 0.5)
    assert least == pytest.approx(LEAST * ((1.5**2 + 2**2) / 2) ** 0.5)  # deviations of 1 and 4, and of 9 and 5


def test_what_was_not_observed_is_left_out_and_where_nothing_differs_1_is_usual() -> None:
    nan = float("nan")
    assert training_scales([[1.0, 4.0]], [[6.0, nan]])[1] == 2
    assert training_scales([[4.0, 4.0]], [[4.0]]) == [1, 1, 1]
    assert training_scales([[1.0, 4.0]], [[nan]])[1] == 1


def test_what_is_usual_counts_in_the_windows_own_deviation_where_that_is_the_unit() -> None:
    spread, change, _ = training_scales(
        [[0.0, 2.0], [0.0, 20.0]], [[5.0], [50.0]], window_scale="window"
    )  # deviations 1 and 10
    assert spread == pytest.approx(2**0.5)  # -2 and 0 twice
    assert change == pytest.approx(3)

"""The compiled kernels against plain PyTorch, and the promise that their bits depend on nothing but the work."""

import itertools
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models import kernels
from models.backends import PYTORCH, choose_backend
from models.kernels import checking
from models.kernels.steps import CompiledSteps, predict
from models.population.adam import Adam
from models.population.batches import PaddedOrigins
from models.population.network import Population, Sizes
from models.population.tensors import PanelTensors, tensors_of_values
from models.population.torch_steps import TorchSteps
from models.specs import FitSpec, RecurrentSpec

ROOT = Path(__file__).parent.parent
COMPILED = ["rnn", "gru", "lstm"]
VALUES = torch.sin(torch.arange(400) * 0.3) + 0.1 * torch.randn(400, generator=torch.Generator().manual_seed(0))
POINTS = tensors_of_values(VALUES)
LENGTH = 9


def close(ours: Tensor, theirs: Tensor) -> None:
    """Equal to within 1e-5 of the largest."""
    torch.testing.assert_close(ours.double(), theirs.double(), rtol=0, atol=1e-5 * float(theirs.detach().abs().max()))


@pytest.mark.parametrize("cell", COMPILED)
@pytest.mark.parametrize(("layers", "units", "horizon"), [(1, 16, 1), (1, 7, 40), (3, 20, 5)])
@pytest.mark.parametrize(("input_offset", "target_offset"), [("last", "last"), ("none", "none")])
def test_a_whole_step_equals_the_reference(
    cell: str, layers: int, units: int, horizon: int, input_offset: str, target_offset: str
) -> None:
    spec = RecurrentSpec(hidden=units, layers=layers, input_offset=input_offset, target_offset=target_offset)
    fit = FitSpec(clip=0.05, weight_decay=0.1)
    sizes = Sizes(LENGTH, horizon)
    pair = [Population(cell, spec, sizes, [0, 1, 2]) for _ in range(2)]
    for population in pair:
        population.training_scales.input_scale[:], population.training_scales.target_scale[:] = 0.3, 0.7
    compiled, plain = CompiledSteps(pair[0], POINTS, fit), TorchSteps(pair[1], POINTS, fit)
    origins = torch.randint(LENGTH, 350, (3, 70), generator=torch.Generator().manual_seed(1))
    counts = torch.tensor([70, 33, 0])
    for ours, theirs in zip(compiled.gradient(origins, counts), plain.gradient(origins, counts), strict=True):
        close(ours, theirs)
    held_out = PaddedOrigins([np.arange(LENGTH, 350)], 3, torch.device("cpu"))
    close(compiled.evaluate(held_out), plain.evaluate(held_out))
    where = torch.arange(LENGTH, len(VALUES) + 1).unsqueeze(0)  # the last one has no value to compare with
    close(predict(pair[0], POINTS, where), pair[1].predict(POINTS, where))
    for _ in range(3):
        rates = torch.tensor([0.01, 0.02, 0.03])
        close(compiled.step(origins, counts, rates), plain.step(origins, counts, rates))
    torch.testing.assert_close(pair[0].flat, pair[1].flat, rtol=0, atol=1e-4)  # Adam's first steps magnify what is tiny
    first = Population(cell, spec, sizes, [2]).flat[0]
    assert torch.equal(pair[0].flat[2], first), "the member without origins moved"


@pytest.mark.parametrize("cell", COMPILED)
@pytest.mark.parametrize("layers", [2, 3])
@pytest.mark.parametrize(("members", "batch", "n_covariates", "units"), [(1, 64, 0, 16), (3, 37, 3, 7), (2, 5, 8, 33)])
def test_gradients_equal_those_of_the_reference_in_float64(
    cell: str, members: int, batch: int, n_covariates: int, units: int, layers: int
) -> None:
    spec, sizes = RecurrentSpec(hidden=units, layers=layers), Sizes(LENGTH, 3, n_covariates=n_covariates)
    covariates = torch.randn(400, n_covariates, generator=torch.Generator().manual_seed(4))
    origins = torch.randint(LENGTH, 390, (members, batch), generator=torch.Generator().manual_seed(1))
    counts, points = torch.full((members,), batch), PanelTensors(VALUES, VALUES, covariates)
    population = Population(cell, spec, sizes, range(members))
    computed = CompiledSteps(population, points, FitSpec()).gradient(origins, counts)
    population.flat = population.flat.double()
    exact = PanelTensors(VALUES.double(), VALUES.double(), covariates.double())
    expected = TorchSteps(population, exact, FitSpec()).gradient(origins, counts)
    for ours, theirs in zip(computed, expected, strict=True):
        close(ours, theirs)


WANDERING = VALUES.cumsum(0)
SEEN = (torch.arange(400) % 50 != 7) & (torch.arange(400) < 380)
COLUMNS = torch.randn(400, 3, generator=torch.Generator().manual_seed(1))
WITH_COVARIATES = PanelTensors(WANDERING, WANDERING.where(SEEN, torch.nan), COLUMNS)
SCALINGS = list(itertools.product(["none", "last", "mean"], ["none", "last", "mean", "season"], ["training", "window"]))


def with_covariates(cell: str, horizon: int, **spec: Any) -> Population:
    """Two members with covariates that differ in all they have."""
    population = Population(cell, RecurrentSpec(hidden=6, **spec), Sizes(12, horizon, 4, 3, 2), [0, 1])
    draw = torch.Generator().manual_seed(2)
    population.flat += 0.1 * torch.randn(population.flat.shape, generator=draw)  # highway and covariates count too
    for scale, values in zip(population.training_scales, ([0.7, 1.3], [0.4, 2.0], [1.5, 0.1]), strict=True):
        scale[:, 0] = torch.tensor(values)
    return population


@pytest.mark.parametrize("loss", ["mse", "mae"])
@pytest.mark.parametrize("cell", COMPILED)
def test_every_scaling_and_loss_equals_the_reference_with_covariates_highway_and_gaps(cell: str, loss: Any) -> None:
    origins = torch.randint(12, 395, (2, 50), generator=torch.Generator().manual_seed(3))
    assert WITH_COVARIATES.targets[origins].isnan().any(), "no target is missing: the test shows nothing"
    fit, counts = FitSpec(loss=loss), torch.tensor([50, 37])
    for number, (input_offset, target_offset, window_scale) in enumerate(SCALINGS):
        spec = {
            "input_offset": input_offset,
            "target_offset": target_offset,
            "window_scale": window_scale,
            "highway": 7 * (number % 3),
        }
        spec |= {"layers": 1 + number % 2, "segment": [1, 1, 3, 5][number // 2 % 4]}  # of 12 values, 5 leave 2 over
        population = with_covariates(cell, 5, **spec)
        compiled, plain = (kind(population, WITH_COVARIATES, fit) for kind in (CompiledSteps, TorchSteps))
        for mine, other in zip(compiled.gradient(origins, counts), plain.gradient(origins, counts), strict=True):
            error = float((mine - other).abs().max() / other.abs().max())
            assert error < 5e-5, f"{spec} is off by {error:.1g}"
        where = torch.arange(12, 396).unsqueeze(0)
        close(predict(population, WITH_COVARIATES, where), population.predict(WITH_COVARIATES, where))


@pytest.mark.parametrize("forecast", [predict, Population.predict])
def test_each_member_may_forecast_from_origins_of_its_own(forecast: Any) -> None:
    population = with_covariates("gru", 3)
    shared = forecast(population, WITH_COVARIATES, torch.arange(20, 40).unsqueeze(0))  # [2, 20, 3]
    separate = forecast(population, WITH_COVARIATES, torch.stack([torch.arange(20, 30), torch.arange(30, 40)]))
    torch.testing.assert_close(separate, torch.stack([shared[0, :10], shared[1, 10:]]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("loss", ["mse", "mae"])
@pytest.mark.parametrize("steps", [CompiledSteps, TorchSteps])
def test_the_loss_is_the_mean_over_steps_and_a_missing_target_counts_with_no_error(steps: Any, loss: Any) -> None:
    """A network whose weights are all 0 forecasts the last value: here 5, and the targets are 8, a gap, and 7."""
    population = Population("gru", RecurrentSpec(hidden=2), Sizes(2, 3), [0])
    population.flat.zero_()
    values = torch.tensor([4.0, 5.0, 8.0, 9.0, 7.0])
    points = tensors_of_values(values)._replace(targets=values.where(values != 9, torch.nan))
    computed, _ = steps(population, points, FitSpec(loss=loss)).gradient(torch.tensor([[2]]), torch.tensor([1]))
    assert float(computed) == pytest.approx({"mse": (9 + 0 + 4) / 3, "mae": (3 + 0 + 2) / 3}[loss])


@pytest.mark.parametrize("steps", [CompiledSteps, TorchSteps])
def test_errors_are_divided_by_the_windows_deviation_where_it_is_the_scale(steps: Any) -> None:
    """The windows 3, 7 and 30, 70 deviate by 2 and 20; the forecasts are their last values, off by 6 and 60."""
    spec = RecurrentSpec(hidden=2, window_scale="window")
    population = Population("gru", spec, Sizes(2), [0])
    population.flat.zero_()
    points = tensors_of_values(torch.tensor([3.0, 7.0, 13.0, 30.0, 70.0, 130.0]))
    origins, counts = torch.tensor([[2, 5]]), torch.tensor([2])
    for loss, expected in (("mse", 9.0), ("mae", 3.0)):
        computed, _ = steps(population, points, FitSpec.model_validate({"loss": loss})).gradient(origins, counts)
        assert float(computed) == pytest.approx(expected)


@pytest.mark.parametrize("steps", [CompiledSteps, TorchSteps])
def test_a_gap_pulls_no_weight_whatever_it_was_filled_with(steps: Any) -> None:
    population, gradients = with_covariates("gru", 3), []
    origins, counts = torch.tensor([[299, 300], [200, 300]]), torch.tensor([2, 2])
    for filled in (0.0, 1e6):
        values = WITH_COVARIATES.values.clone()
        values[300:302] = filled
        targets = values.clone()
        targets[300:302] = torch.nan
        points = WITH_COVARIATES._replace(values=values, targets=targets)
        gradients.append(steps(population, points, FitSpec()).gradient(origins, counts)[1])
    assert torch.equal(*gradients)
    assert gradients[0].isfinite().all()


def test_adam_moves_as_the_reference_does() -> None:
    spec = FitSpec(clip=None, weight_decay=0.2)
    population = Population("rnn", RecurrentSpec(hidden=5), Sizes(LENGTH), [0, 1])
    adam, start = Adam(population.flat.clone(), spec), population.flat.clone()
    steps = CompiledSteps(population, POINTS, spec)
    for number in range(4):
        origins = torch.arange(20, 84).view(2, 32) + number
        counts = torch.tensor([32, 32 if number % 2 else 0])
        _, gradient = steps.gradient(origins, counts)
        adam.update(gradient, torch.tensor([0.1, 0.01]), counts > 0)
        steps.step(origins, counts, torch.tensor([0.1, 0.01]))
    torch.testing.assert_close(population.flat, adam.flat, rtol=0, atol=1e-5)
    assert not torch.equal(population.flat, start)


def learn(cell: str, seeds: list[int], threads: int = 1, rows: slice = slice(None)) -> Tensor:
    """Weights after some steps of a population that is large enough for two threads."""
    population = Population(cell, RecurrentSpec(hidden=24, layers=2), Sizes(20, 3), seeds)
    steps = CompiledSteps(population, POINTS, FitSpec(), threads=threads)
    origins = torch.randint(20, 390, (4, 150), generator=torch.Generator().manual_seed(2))[rows]
    for _ in range(20):
        steps.step(origins.contiguous(), torch.full((len(seeds),), 150), torch.full((len(seeds),), 0.01))
    return population.flat


@pytest.mark.parametrize("cell", COMPILED)
def test_the_bits_are_the_same_for_one_and_two_threads_and_for_a_member_alone(cell: str) -> None:
    together = learn(cell, [0, 1, 2, 3])
    assert torch.equal(together, learn(cell, [0, 1, 2, 3], threads=2))
    for member in (0, 3):
        alone = learn(cell, [member], rows=slice(member, member + 1))
        assert torch.equal(together[member], alone[0])


def test_the_bits_are_the_same_freshly_compiled_and_from_the_cache(tmp_path: Path) -> None:
    code = (
        "import sys, logging; sys.path[:0] = ['.', 'tests']; logging.basicConfig(level=logging.INFO)\n"
        "from models.kernels import load_kernels; load_kernels()\n"
        "from test_kernels import learn\n"
        "import hashlib; print(hashlib.sha256(learn('gru', [0, 1]).numpy().tobytes()).hexdigest())"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    fresh, cached = (
        subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        for _ in range(2)
    )
    assert fresh.stdout == cached.stdout
    assert "compiling the kernels" in fresh.stderr
    assert "compiling" not in cached.stderr


def test_a_cache_folder_that_cannot_be_made_costs_the_keeping_alone(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "file"), "TMPDIR": str(tmp_path)}
    environment.pop("NUMBA_CACHE_DIR", None)
    command = [sys.executable, "-m", "models.kernels"]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    first, *_, last = done.stderr.splitlines()
    assert first.startswith("compiled code cannot be kept ([Errno 20] Not a directory")
    assert last.startswith("compiled in ")


def test_kernels_that_compute_something_else_are_left_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(checking, "TOLERANCE", 1e-12)
    monkeypatch.setattr(kernels.log, "handlers", [])
    monkeypatch.setattr(kernels.log, "propagate", True)
    with caplog.at_level(logging.WARNING, "tidecast"):
        assert kernels.load_kernels.__wrapped__() is None
    assert "of a rnn differs by" in caplog.text


def test_a_processor_without_the_instructions_gets_plain_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.kernels.supported", lambda: False)
    assert kernels.load_kernels.__wrapped__() is None


@pytest.mark.parametrize("cell", ["gru_chung2014", "gru"])
def test_what_the_kernels_do_not_know_stays_in_pytorch(cell: str) -> None:
    form = "chung2014" if cell == "gru_chung2014" else "torch"
    population = Population("gru", RecurrentSpec(hidden=4, gru_form=form), Sizes(LENGTH), [0])
    assert (choose_backend(population) is PYTORCH) == (form == "chung2014")

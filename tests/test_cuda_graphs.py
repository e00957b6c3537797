"""What is written for GPUs, as far as it can be followed without one; the last test needs one."""

import numpy as np
import pytest
import torch

from models.backends import choose_backend
from models.errors import InputError
from models.population import cudnn
from models.population.cells import CELLS
from models.population.cuda_graphs import GraphedSteps
from models.population.fitting import fit
from models.population.network import Population, Sizes
from models.population.tensors import tensors_of_values
from models.population.torch_steps import TorchSteps
from models.recurrent import Recurrent
from models.specs import FitSpec, ModelSpec, RecurrentSpec

VALUES = torch.sin(torch.arange(200) * 0.3)
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def test_steps_from_standing_buffers_equal_plain_ones() -> None:
    """Captured on a GPU, called again on a CPU: the same buffers, the same weights after each batch."""
    pair = [Population("gru", RecurrentSpec(hidden=6), Sizes(8), [0, 1], device=DEVICE) for _ in range(2)]
    points, spec = tensors_of_values(VALUES.to(DEVICE)), FitSpec(weight_decay=0.1)
    graphed, plain = GraphedSteps(pair[0], points, spec), TorchSteps(pair[1], points, spec)
    losses = []
    for number in range(4):
        origins = torch.arange(10, 74, device=DEVICE).view(2, 32) + number
        counts, rate = torch.tensor([32, 7 * number], device=DEVICE), torch.tensor([0.1, 0.01], device=DEVICE)
        losses.append(graphed.step(origins, counts, rate))
        torch.testing.assert_close(losses[-1], plain.step(origins, counts, rate), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(pair[0].flat, pair[1].flat, rtol=1e-4, atol=1e-5)
    assert len({float(loss[0]) for loss in losses}) == 4, "an earlier loss was overwritten by a later one"


@pytest.mark.parametrize("form", list(cudnn.FUNCTIONS))
def test_the_layer_for_cudnn_equals_the_reference(form: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(7, 1, 5, 3, dtype=torch.float64)
    weight = torch.randn(1, 3 + 2 + 4, CELLS[form].gates * 4, dtype=torch.float64)
    pairs = []
    for run in (lambda x, w: cudnn.run_layer(form, x, w), CELLS[form].run):
        inputs = [tensor.clone().requires_grad_() for tensor in (x, weight)]
        outputs = run(*inputs)
        pairs.append([outputs, *torch.autograd.grad(outputs.square().sum(), inputs)])
    for ours, theirs in zip(*pairs, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_precision_is_a_gpus_choice(precision: str) -> None:
    with pytest.raises(InputError, match=f"--fit.precision {precision} needs a GPU, and this trains on the cpu"):
        Recurrent(ModelSpec(model="gru", fit=FitSpec(precision=precision)))


@pytest.mark.skipif(DEVICE == "cpu", reason="no GPU is here")
@pytest.mark.parametrize("members", [1, 4])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_a_gpu_trains_as_a_cpu_does(cell: str, members: int) -> None:
    losses = []
    for device in ("cuda", "cpu"):
        population, spec = (
            Population(cell, RecurrentSpec(hidden=6), Sizes(8), range(members), device),
            FitSpec(epochs=3),
        )
        steps = choose_backend(population).steps(population, tensors_of_values(VALUES.to(device)), spec)
        epochs = fit(population, steps, [np.arange(8, 150)], [np.arange(150, 200)], spec, range(members))
        losses.append([epoch.val_loss for epoch in epochs])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)

"""The recurrences against PyTorch's own, and against their equations written out."""

import pytest
import torch
from torch import Tensor

from models.cells import CELLS, Layer

T, K, B, F, H = 7, 3, 5, 2, 4


def random_layer(gates: int, dtype: torch.dtype = torch.float64) -> Layer:
    torch.manual_seed(0)
    shapes = [(K, F, gates * H), (K, H, gates * H), (K, gates * H), (K, gates * H)]
    return Layer(*(torch.randn(shape, dtype=dtype).mul(0.5).requires_grad_() for shape in shapes))


def reference(name: str, layer: Layer, member: int) -> torch.nn.Module:
    """`torch.nn`'s module with one member's weights, which it keeps transposed."""
    module = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[name](F, H).double()
    with torch.no_grad():
        module.weight_ih_l0.copy_(layer.input[member].t())
        module.weight_hh_l0.copy_(layer.hidden[member].t())
        module.bias_ih_l0.copy_(layer.input_bias[member])
        module.bias_hh_l0.copy_(layer.hidden_bias[member])
    return module


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm"])
def test_outputs_and_gradients_equal_those_of_torch_nn(name: str) -> None:
    layer = random_layer(CELLS[name].gates)
    x = torch.randn(T, K, B, F, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(T, K, B, H, dtype=torch.float64)  # so that every output counts differently
    outputs = CELLS[name].run(x, layer)
    gradients = torch.autograd.grad((outputs * weight).sum(), [x, *layer])
    for member in range(K):
        module = reference(name, layer, member)
        own = x[:, member].detach().requires_grad_()
        expected, _ = module(own)
        torch.testing.assert_close(outputs[:, member], expected, rtol=1e-12, atol=1e-12)
        (expected * weight[:, member]).sum().backward()
        theirs = [own.grad, module.weight_ih_l0.grad.t(), module.weight_hh_l0.grad.t()]
        theirs += [module.bias_ih_l0.grad, module.bias_hh_l0.grad]
        ours = [gradients[0][:, member], *(gradient[member] for gradient in gradients[1:])]
        for mine, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-12)


def chung_step(x: Tensor, h: Tensor, layer: Layer, member: int) -> Tensor:
    """z = sigma(Wz [h, x]); r = sigma(Wr [h, x]); n = tanh(W [r * h, x]); h' = (1 - z) h + z n, with biases."""
    both = torch.cat([layer.hidden[member], layer.input[member]])  # [H + F, 3H]
    bias = layer.input_bias[member] + layer.hidden_bias[member]  # [3H]
    weight_r, weight_z, weight_n = both.split(H, dim=1)
    bias_r, bias_z, bias_n = bias.split(H)
    r = torch.sigmoid(torch.cat([h, x], dim=1) @ weight_r + bias_r)
    z = torch.sigmoid(torch.cat([h, x], dim=1) @ weight_z + bias_z)
    n = torch.tanh(torch.cat([r * h, x], dim=1) @ weight_n + bias_n)
    return (1 - z) * h + z * n


def test_the_chung2014_form_follows_its_equations() -> None:
    layer = random_layer(3)
    x = torch.randn(T, K, B, F, dtype=torch.float64)
    outputs = CELLS["gru_chung2014"].run(x, layer)
    for member in range(K):
        h = torch.zeros(B, H, dtype=torch.float64)
        for t in range(T):
            h = chung_step(x[t, member], h, layer, member)
            torch.testing.assert_close(outputs[t, member], h, rtol=1e-12, atol=1e-12)


def test_the_two_gru_forms_differ() -> None:
    layer = random_layer(3)
    x = torch.randn(T, K, B, F, dtype=torch.float64)
    difference = CELLS["gru"].run(x, layer) - CELLS["gru_chung2014"].run(x, layer)
    assert difference.abs().max() > 0.01


@pytest.mark.parametrize("name", list(CELLS))
def test_zero_padding_a_member_leaves_its_own_units_alone(name: str) -> None:
    gates, small = CELLS[name].gates, H - 1
    layer = random_layer(gates)

    def narrow(weight: Tensor, *dims: int) -> Tensor:
        weight = weight.detach().unflatten(-1, (gates, H))[..., :small].flatten(-2)
        return weight[:, :small] if dims else weight

    slim = Layer(narrow(layer.input), narrow(layer.hidden, 1), narrow(layer.input_bias), narrow(layer.hidden_bias))

    def pad(weight: Tensor, rows: int | None) -> Tensor:
        wide = weight.unflatten(-1, (gates, small))
        wide = torch.nn.functional.pad(wide, (0, 1)).flatten(-2)
        return wide if rows is None else torch.nn.functional.pad(wide, (0, 0, 0, rows))

    padded = Layer(pad(slim.input, 0), pad(slim.hidden, 1), pad(slim.input_bias, None), pad(slim.hidden_bias, None))
    x = torch.randn(T, K, B, F, dtype=torch.float64)
    wide, thin = CELLS[name].run(x, padded), CELLS[name].run(x, slim)
    torch.testing.assert_close(wide[..., :small], thin, rtol=1e-12, atol=1e-12)
    assert wide[..., small].abs().max() == 0

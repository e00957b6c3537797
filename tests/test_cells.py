"""The recurrences against PyTorch's own, and against their equations written out."""

import pytest
import torch
from torch import Tensor

from models.population.cells import CELLS

T, K, B, F, H = 7, 3, 5, 2, 4


def random_weight(gates: int) -> Tensor:
    torch.manual_seed(0)
    return torch.randn(K, F + 2 + H, gates * H, dtype=torch.float64).mul(0.5).requires_grad_()


def parts(weight: Tensor) -> tuple[Tensor, ...]:
    """One member's input weights [F, G*H], biases [G*H] and hidden weights [H, G*H]."""
    inputs, biases, hidden = weight.split([F, 2, H])
    return inputs, hidden, biases[0], biases[1]


def reference(name: str, weight: Tensor) -> torch.nn.Module:
    """`torch.nn`'s module with one member's weights, which it keeps transposed."""
    module = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[name](F, H).double()
    inputs, hidden, input_bias, hidden_bias = parts(weight)
    with torch.no_grad():
        module.weight_ih_l0.copy_(inputs.t())
        module.weight_hh_l0.copy_(hidden.t())
        module.bias_ih_l0.copy_(input_bias)
        module.bias_hh_l0.copy_(hidden_bias)
    return module


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm"])
def test_outputs_and_gradients_equal_those_of_torch_nn(name: str) -> None:
    weight = random_weight(CELLS[name].gates)
    x = torch.randn(T, K, B, F, dtype=torch.float64, requires_grad=True)
    states = 2 if name == "lstm" else 1
    state = torch.randn(K, B, states * H, dtype=torch.float64, requires_grad=True)
    output_gradient = torch.randn(T, K, B, H, dtype=torch.float64)  # so that every output counts differently
    outputs = CELLS[name].run(x, weight, state)
    gradients = torch.autograd.grad((outputs * output_gradient).sum(), [x, state, weight])
    for member in range(K):
        module = reference(name, weight[member])
        inputs, first = (tensor.detach().requires_grad_() for tensor in (x[:, member], state[member]))
        begin = tuple(part.unsqueeze(0) for part in first.split(H, dim=-1))
        expected, _ = module(inputs, begin if name == "lstm" else begin[0])
        torch.testing.assert_close(outputs[:, member], expected, rtol=1e-12, atol=1e-12)
        (expected * output_gradient[:, member]).sum().backward()
        theirs = [inputs.grad, first.grad, module.weight_ih_l0.grad.t(), module.weight_hh_l0.grad.t()]
        theirs += [module.bias_ih_l0.grad, module.bias_hh_l0.grad]
        ours = [gradients[0][:, member], gradients[1][member], *parts(gradients[2][member])]
        for computed, expected in zip(ours, theirs, strict=True):
            torch.testing.assert_close(computed, expected, rtol=1e-10, atol=1e-12)


def chung_step(x: Tensor, h: Tensor, weight: Tensor) -> Tensor:
    """z = sigma(Wz [h, x]); r = sigma(Wr [h, x]); n = tanh(W [r * h, x]); h' = (1 - z) h + z n, with biases."""
    inputs, hidden, input_bias, hidden_bias = parts(weight)
    both = torch.cat([hidden, inputs])  # [H + F, 3H]
    bias = input_bias + hidden_bias  # [3H]
    weight_r, weight_z, weight_n = both.split(H, dim=1)
    bias_r, bias_z, bias_n = bias.split(H)
    r = torch.sigmoid(torch.cat([h, x], dim=1) @ weight_r + bias_r)
    z = torch.sigmoid(torch.cat([h, x], dim=1) @ weight_z + bias_z)
    n = torch.tanh(torch.cat([r * h, x], dim=1) @ weight_n + bias_n)
    return (1 - z) * h + z * n


def test_the_chung2014_form_follows_its_equations() -> None:
    weight = random_weight(3)
    x = torch.randn(T, K, B, F, dtype=torch.float64)
    outputs = CELLS["gru_chung2014"].run(x, weight)
    for member in range(K):
        h = torch.zeros(B, H, dtype=torch.float64)
        for t in range(T):
            h = chung_step(x[t, member], h, weight[member])
            torch.testing.assert_close(outputs[t, member], h, rtol=1e-12, atol=1e-12)


def test_the_two_gru_forms_differ() -> None:
    weight = random_weight(3)
    x = torch.randn(T, K, B, F, dtype=torch.float64)
    difference = CELLS["gru"].run(x, weight) - CELLS["gru_chung2014"].run(x, weight)
    assert difference.abs().max() > 0.01


@pytest.mark.parametrize("name", list(CELLS))
def test_zero_padding_a_member_leaves_its_own_units_alone(name: str) -> None:
    gates, small = CELLS[name].gates, H - 1
    slim = random_weight(gates).detach().unflatten(-1, (gates, H))[:, :-1, :, :small]  # [K, F + 2 + small, G, small]
    padded = torch.nn.functional.pad(slim, (0, 1, 0, 0, 0, 1))  # [K, F + 2 + H, G, H]
    x = torch.randn(T, K, B, F, dtype=torch.float64)
    wide, thin = (CELLS[name].run(x, weight.flatten(2)) for weight in (padded, slim))
    torch.testing.assert_close(wide[..., :small], thin, rtol=1e-12, atol=1e-12)
    assert wide[..., small].abs().max() == 0

"""The recurrences of the RNN, GRU and LSTM for K members at once, in plain PyTorch.

Letters: T window length, K members, B batch, F features, H hidden units. Gates stand side by side in the last
dimension, in PyTorch's order. Every cell maps x [T, K, B, F] and zero state to its outputs [T, K, B, H].

The GRU comes in two published forms, with r the reset gate, z the update gate and n the candidate:

    torch      n = tanh(W x + b + r * (U h + c))     h' = (1 - z) * n + z * h
    chung2014  n = tanh(W x + b + U (r * h) + c)     h' = (1 - z) * h + z * n

They differ in two places: in which of the two states z keeps, and in whether r multiplies before or after the
product with U. "torch" is what `torch.nn.GRU` and cuDNN compute, one product a step; "chung2014" is the form of
Chung et al., "Empirical Evaluation of Gated Recurrent Neural Networks on Sequence Modeling" (2014), found in most
textbooks, two products a step.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Layer(NamedTuple):
    """One layer's weights for K members, G gates side by side."""

    input: Tensor  # [K, F, G*H]
    hidden: Tensor  # [K, H, G*H]
    input_bias: Tensor  # [K, G*H]
    hidden_bias: Tensor  # [K, G*H]


def rnn(x: Tensor, layer: Layer) -> Tensor:
    """Elman's recurrence: h' = tanh(W x + b + U h + c)."""
    inputs = _project(x, layer, with_hidden_bias=True)  # [T, K, B, H]
    h = _zero_state(inputs, layer)  # [K, B, H]
    outputs = []
    for a in inputs:
        h = torch.tanh(torch.baddbmm(a, h, layer.hidden))
        outputs.append(h)
    return torch.stack(outputs)  # [T, K, B, H]


def gru(x: Tensor, layer: Layer) -> Tensor:
    """The gated recurrent unit in PyTorch's form."""
    inputs = _project(x, layer)  # [T, K, B, 3H]
    h = _zero_state(inputs, layer)  # [K, B, H]
    hidden, bias = layer.hidden, layer.hidden_bias.unsqueeze(1)  # [K, H, 3H], [K, 1, 3H]
    units = hidden.shape[1]
    outputs = []
    for a in inputs:
        recurrent = torch.baddbmm(bias, h, hidden)  # [K, B, 3H]
        gates = torch.sigmoid(a[..., : 2 * units] + recurrent[..., : 2 * units])
        r, z = gates.split(units, dim=-1)  # [K, B, H] each
        n = torch.tanh(a[..., 2 * units :] + r * recurrent[..., 2 * units :])
        h = n + z * (h - n)
        outputs.append(h)
    return torch.stack(outputs)  # [T, K, B, H]


def gru_chung2014(x: Tensor, layer: Layer) -> Tensor:
    """The gated recurrent unit as Chung et al. write it."""
    inputs = _project(x, layer, with_hidden_bias=True)  # [T, K, B, 3H]
    h = _zero_state(inputs, layer)  # [K, B, H]
    units = layer.hidden.shape[1]
    to_gates, to_candidate = layer.hidden.split([2 * units, units], dim=-1)  # [K, H, 2H], [K, H, H]
    outputs = []
    for a in inputs:
        gates = torch.sigmoid(torch.baddbmm(a[..., : 2 * units], h, to_gates))
        r, z = gates.split(units, dim=-1)  # [K, B, H] each
        n = torch.tanh(torch.baddbmm(a[..., 2 * units :], r * h, to_candidate))
        h = h + z * (n - h)
        outputs.append(h)
    return torch.stack(outputs)  # [T, K, B, H]


def lstm(x: Tensor, layer: Layer) -> Tensor:
    """Long short-term memory: gates i, f, g, o; c' = f * c + i * g; h' = o * tanh(c')."""
    inputs = _project(x, layer, with_hidden_bias=True)  # [T, K, B, 4H]
    h = c = _zero_state(inputs, layer)  # [K, B, H]
    outputs = []
    for a in inputs:
        i, f, g, o = torch.baddbmm(a, h, layer.hidden).chunk(4, dim=-1)  # [K, B, H] each
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs)  # [T, K, B, H]


class Cell(NamedTuple):
    """A recurrence and the number of gates that its weights hold."""

    run: Callable[[Tensor, Layer], Tensor]
    gates: int


CELLS = {
    "rnn": Cell(rnn, 1),
    "gru": Cell(gru, 3),
    "gru_chung2014": Cell(gru_chung2014, 3),
    "lstm": Cell(lstm, 4),
}


def _project(x: Tensor, layer: Layer, with_hidden_bias: bool = False) -> Tensor:
    """What the inputs add to the gates, for all steps in one product.

    The bias is the weight of one more feature, which is always 1. So there are two features at least: products with a
    vector take another path where K = 1, and a member alone would round otherwise than among others.
    """
    steps, members, batch, features = x.shape
    bias = layer.input_bias + layer.hidden_bias if with_hidden_bias else layer.input_bias  # [K, G*H]
    weight = torch.cat([layer.input, bias.unsqueeze(1)], dim=1)  # [K, F + 1, G*H]
    flat = x.transpose(0, 1).reshape(members, steps * batch, features)  # [K, T*B, F]
    flat = torch.nn.functional.pad(flat, (0, 1), value=1.0)  # [K, T*B, F + 1]
    gates = torch.bmm(flat, weight)  # [K, T*B, G*H]
    return gates.unflatten(1, (steps, batch)).transpose(0, 1)  # [T, K, B, G*H]


def _zero_state(inputs: Tensor, layer: Layer) -> Tensor:
    _, members, batch, _ = inputs.shape
    return inputs.new_zeros(members, batch, layer.hidden.shape[1])  # [K, B, H]

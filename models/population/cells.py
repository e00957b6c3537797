"""The recurrences of the RNN, GRU and LSTM for K members at once, in plain PyTorch.

This is where to read the mathematics; `models/kernels` computes the same, compiled.

Letters: T time steps, K members, B batch, F features, H hidden units, G gates. Gates stand side by side in the last
dimension, in PyTorch's order. Every cell maps inputs x [T, K, B, F] and an initial state to outputs [T, K, B, H]. Its
weights [K, F + 2 + H, G * H] are one matrix a member: the input weights W, the input bias b, the hidden bias c and the
hidden weights U, stacked by rows. The state is h, [K, B, H]; in an LSTM h and the cell side by side, [K, B, 2H]. It is
zero where none is given.

The GRU comes in two published forms, with r the reset gate, z the update gate and n the candidate:

    torch      n = tanh(W x + b + r * (U h + c))     h' = (1 - z) * n + z * h
    chung2014  n = tanh(W x + b + U (r * h) + c)     h' = (1 - z) * h + z * n

They differ in two places: whether z keeps the old state or the candidate, and whether r multiplies before or after
the product with U. "torch" is what `torch.nn.GRU` and cuDNN compute, one product a step; "chung2014" is the form of
Chung et al., "Empirical Evaluation of Gated Recurrent Neural Networks on Sequence Modeling" (2014), found in most
textbooks, two products a step.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


def rnn(x: Tensor, weight: Tensor, state: Tensor | None = None) -> Tensor:
    """Elman's recurrence: h' = tanh(W x + b + U h + c)."""
    inputs, hidden = _project(x, weight, biases=2), weight[:, x.shape[-1] + 2 :]  # [T, K, B, H], [K, H, H]
    h = _initial_state(inputs, hidden) if state is None else state  # [K, B, H]
    outputs = []
    for a in inputs:
        h = torch.tanh(torch.baddbmm(a, h, hidden))
        outputs.append(h)
    return torch.stack(outputs)  # [T, K, B, H]


def gru(x: Tensor, weight: Tensor, state: Tensor | None = None) -> Tensor:
    """The gated recurrent unit in PyTorch's form."""
    inputs = _project(x, weight, biases=1)  # [T, K, B, 3H]
    bias, hidden = weight[:, x.shape[-1] + 1 :].tensor_split([1], dim=1)  # [K, 1, 3H], [K, H, 3H]
    h = _initial_state(inputs, hidden) if state is None else state  # [K, B, H]
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


def gru_chung2014(x: Tensor, weight: Tensor, state: Tensor | None = None) -> Tensor:
    """The gated recurrent unit as Chung et al. write it."""
    inputs, hidden = _project(x, weight, biases=2), weight[:, x.shape[-1] + 2 :]  # [T, K, B, 3H], [K, H, 3H]
    h = _initial_state(inputs, hidden) if state is None else state  # [K, B, H]
    units = hidden.shape[1]
    to_gates, to_candidate = hidden.split([2 * units, units], dim=-1)  # [K, H, 2H], [K, H, H]
    outputs = []
    for a in inputs:
        gates = torch.sigmoid(torch.baddbmm(a[..., : 2 * units], h, to_gates))
        r, z = gates.split(units, dim=-1)  # [K, B, H] each
        n = torch.tanh(torch.baddbmm(a[..., 2 * units :], r * h, to_candidate))
        h = h + z * (n - h)
        outputs.append(h)
    return torch.stack(outputs)  # [T, K, B, H]


def lstm(x: Tensor, weight: Tensor, state: Tensor | None = None) -> Tensor:
    """Long short-term memory: gates i, f, g, o; c' = f * c + i * g; h' = o * tanh(c')."""
    inputs, hidden = _project(x, weight, biases=2), weight[:, x.shape[-1] + 2 :]  # [T, K, B, 4H], [K, H, 4H]
    zero = _initial_state(inputs, hidden)
    h, c = (zero, zero) if state is None else state.chunk(2, dim=-1)  # [K, B, H] each
    outputs = []
    for a in inputs:
        i, f, g, o = torch.baddbmm(a, h, hidden).chunk(4, dim=-1)  # [K, B, H] each
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs)  # [T, K, B, H]


class Cell(NamedTuple):
    """A recurrence and the number of gates that its weights hold."""

    run: Callable[..., Tensor]
    gates: int


CELLS = {
    "rnn": Cell(rnn, 1),
    "gru": Cell(gru, 3),
    "gru_chung2014": Cell(gru_chung2014, 3),
    "lstm": Cell(lstm, 4),
}


def _project(x: Tensor, weight: Tensor, biases: int) -> Tensor:
    """Return W x plus the first `biases` of the two biases for all steps, in one product: [T, K, B, G*H].

    A bias is the weight of one more feature, which is always 1. So there are at least two features: with one, PyTorch
    would compute the product for K = 1 differently, and a member alone would round differently than among others.
    """
    steps, members, batch, features = x.shape
    flat = x.transpose(0, 1).reshape(members, steps * batch, features)  # [K, T*B, F]
    flat = torch.nn.functional.pad(flat, (0, biases), value=1.0)  # [K, T*B, F + biases]
    gates = torch.bmm(flat, weight[:, : features + biases])  # [K, T*B, G*H]
    return gates.unflatten(1, (steps, batch)).transpose(0, 1)  # [T, K, B, G*H]


def _initial_state(inputs: Tensor, hidden: Tensor) -> Tensor:
    _, members, batch, _ = inputs.shape
    return inputs.new_zeros(members, batch, hidden.shape[1])  # [K, B, H]

"""One layer of a single network by cuDNN, which runs many time steps in one kernel."""

from collections.abc import Callable

import torch
from torch import Tensor

FUNCTIONS: dict[str, Callable[..., tuple[Tensor, ...]]] = {"rnn": torch.rnn_tanh, "gru": torch.gru, "lstm": torch.lstm}
"""The functions behind `torch.nn.RNN`, `GRU` and `LSTM`, which call cuDNN on a GPU."""


def run_layer(cell_name: str, x: Tensor, weight: Tensor) -> Tensor:
    """Return outputs [T, 1, B, H] for inputs [T, 1, B, F], as the cell of that name in cells.py does."""
    features = x.shape[-1]
    inputs, biases, hidden = weight[0].tensor_split([features, features + 2])  # [F, G*H], [2, G*H], [H, G*H]
    weights = [inputs.t().contiguous(), hidden.t().contiguous(), biases[0], biases[1]]
    zeros = x.new_zeros(1, x.shape[2], hidden.shape[0])  # [1, B, H]
    state = [zeros, zeros] if cell_name == "lstm" else zeros
    # The positions after the weights: has_biases, num_layers, dropout, train, bidirectional, batch_first.
    outputs, *_ = FUNCTIONS[cell_name](x[:, 0], state, weights, True, 1, 0.0, torch.is_grad_enabled(), False, False)
    return outputs.unsqueeze(1)  # [T, 1, B, H]

"""A layer of a single network by `torch.nn`'s own functions, which on a GPU are cuDNN's: one kernel for many steps."""

from collections.abc import Callable

import torch
from torch import Tensor

FUNCTIONS: dict[str, Callable[..., tuple[Tensor, ...]]] = {"rnn": torch.rnn_tanh, "gru": torch.gru, "lstm": torch.lstm}


def run(cell_name: str, x: Tensor, weight: Tensor) -> Tensor:
    """Outputs [T, 1, B, H] from inputs [T, 1, B, F], as the cell of that name in `models.population.cells` gives them."""
    features = x.shape[-1]
    inputs, biases, hidden = weight[0].tensor_split([features, features + 2])  # [F, G*H], [2, G*H], [H, G*H]
    weights = [inputs.t().contiguous(), hidden.t().contiguous(), biases[0], biases[1]]
    state = x.new_zeros(1, x.shape[2], hidden.shape[0])  # [1, B, H]
    first = [state, state] if cell_name == "lstm" else state
    outputs, *_ = FUNCTIONS[cell_name](x[:, 0], first, weights, True, 1, 0.0, torch.is_grad_enabled(), False, False)
    return outputs.unsqueeze(1)  # [T, 1, B, H]

"""Elman's recurrence for one tile of batch rows, forward and backward through time: h' = tanh(W x + b + U h + c)."""

import numpy as np

from models.kernels.compiling import compiled
from models.kernels.products import add_outer, multiply, transpose
from models.kernels.vectors import broadcast, load, store, tanh


@compiled
def forward(weight, states, gates, features, units):
    """Fill in states [T' + 1, R, LANES] after the first; no gates are kept (tiles.py)."""
    hidden = states.shape[1] - units
    first = hidden - 2 - features
    by_state = weight.T
    for t in range(states.shape[0] - 1):
        after = states[t + 1, hidden:]
        multiply(after, by_state, states[t, first:])
        for j in range(units):
            store(after, j, tanh(load(after, j)))


@compiled
def backward(weight, states, gates, space, features, units):
    """Carry `space.state_gradient` back to the first state, and add to `space.weight_gradient` (tiles.py)."""
    hidden = states.shape[1] - units
    first = hidden - 2 - features
    one = broadcast(np.float32(1))
    gate_gradients = space.gate_gradients[:units]
    hidden_gradient = space.state_gradient[hidden:]
    input_weight, hidden_weight = weight[:features], weight[features + 2 :]
    weight_gradient = space.weight_gradient[: features + 2 + units]
    for t in range(states.shape[0] - 2, -1, -1):
        for j in range(units):
            h, dh = load(states[t + 1], hidden + j), load(hidden_gradient, j)
            if space.output_gradients.shape[0]:
                dh = dh + load(space.output_gradients[t], j)
            store(gate_gradients, j, dh * (one - h * h))
        transpose(space.gate_gradients, space.transposed)
        add_outer(weight_gradient, states[t, first:], space.transposed, units)
        multiply(hidden_gradient, hidden_weight, gate_gradients)
        if space.output_gradients.shape[0]:
            multiply(space.output_gradients[t, :features], input_weight, gate_gradients)

"""The LSTM for one tile of batch rows, forward and backward through time: c' = f * c + i * g, h' = o * tanh(c')."""

import numpy as np

from models.kernels.compiling import compiled
from models.kernels.products import add_outer, multiply, transpose
from models.kernels.vectors import broadcast, fma, load, sigmoid, store, tanh


@compiled
def forward(weight, states, gates, features, units):
    """Fill in states [T' + 1, R, LANES] after the first, and gates [T', 5H, LANES]: i, f, g, o, tanh(c') (tiles.py)."""
    cell = states.shape[1] - units
    hidden = cell - units
    first = hidden - 2 - features
    to_gates = weight.T  # [4H, F + 2 + H]
    for t in range(states.shape[0] - 1):
        now, after, gate = states[t], states[t + 1], gates[min(t, gates.shape[0] - 1)]
        multiply(gate[: 4 * units], to_gates, now[first:cell])
        for j in range(units):
            i, f = sigmoid(load(gate, j)), sigmoid(load(gate, units + j))
            g, o = tanh(load(gate, 2 * units + j)), sigmoid(load(gate, 3 * units + j))
            c = fma(f, load(now, cell + j), i * g)
            squashed = tanh(c)
            store(gate, j, i)
            store(gate, units + j, f)
            store(gate, 2 * units + j, g)
            store(gate, 3 * units + j, o)
            store(gate, 4 * units + j, squashed)
            store(after, cell + j, c)
            store(after, hidden + j, o * squashed)


@compiled
def backward(weight, states, gates, space, features, units):
    """Carry `space.state_gradient` back to the first state, and add to `space.weight_gradient` (tiles.py)."""
    cell = states.shape[1] - units
    hidden = cell - units
    first = hidden - 2 - features
    one = broadcast(np.float32(1))
    gradients = space.gate_gradients[: 4 * units]
    hidden_gradient, cell_gradient = space.state_gradient[hidden:cell], space.state_gradient[cell:]
    input_weight, hidden_weight = weight[:features], weight[features + 2 :]  # [F, 4H], [H, 4H]
    weight_gradient = space.weight_gradient[: features + 2 + units]
    for t in range(states.shape[0] - 2, -1, -1):
        now, gate = states[t], gates[t]
        for j in range(units):
            i, f, g = load(gate, j), load(gate, units + j), load(gate, 2 * units + j)
            o, squashed = load(gate, 3 * units + j), load(gate, 4 * units + j)
            dh = load(hidden_gradient, j)
            if space.output_gradients.shape[0]:
                dh = dh + load(space.output_gradients[t], j)
            dc = fma(dh * o, one - squashed * squashed, load(cell_gradient, j))
            store(gradients, j, dc * g * i * (one - i))
            store(gradients, units + j, dc * load(now, cell + j) * f * (one - f))
            store(gradients, 2 * units + j, dc * i * (one - g * g))
            store(gradients, 3 * units + j, dh * squashed * o * (one - o))
            store(cell_gradient, j, dc * f)
        transpose(space.gate_gradients, space.transposed)
        add_outer(weight_gradient, now[first:cell], space.transposed, 4 * units)
        multiply(hidden_gradient, hidden_weight, gradients)
        if space.output_gradients.shape[0]:
            multiply(space.output_gradients[t, :features], input_weight, gradients)

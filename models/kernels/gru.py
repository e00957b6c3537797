"""The GRU in PyTorch's form for one tile of batch rows, forward and backward through time.

With r the reset gate, z the update gate, n the candidate and m the state's part of the candidate:

    m = U h + c        n = tanh(W x + b + r * m)        h' = n + z * (h - n)
"""

import numpy as np

from models.kernels.compiling import compiled
from models.kernels.products import add_outer, add_product, multiply, transpose
from models.kernels.vectors import broadcast, fma, load, sigmoid, store, tanh


@compiled
def forward(weight, states, gates, features, units):
    """Fill in states [T' + 1, R, LANES] after the first, and gates [T', 4H, LANES]: r, z, n, m (tiles.py)."""
    hidden = states.shape[1] - units
    first = hidden - 2 - features
    to_gates = weight[:, : 2 * units].T  # [2H, F + 2 + H]
    input_to_candidate = weight[: features + 1, 2 * units :].T  # [H, F + 1]
    state_to_candidate = weight[features + 1 :, 2 * units :].T  # [H, 1 + H]
    for t in range(states.shape[0] - 1):
        now, after, gate = states[t], states[t + 1], gates[min(t, gates.shape[0] - 1)]
        multiply(gate[: 2 * units], to_gates, now[first:])
        multiply(gate[2 * units : 3 * units], input_to_candidate, now[first : hidden - 1])
        multiply(gate[3 * units :], state_to_candidate, now[hidden - 1 :])
        for j in range(units):
            r, z, m = sigmoid(load(gate, j)), sigmoid(load(gate, units + j)), load(gate, 3 * units + j)
            n = tanh(fma(r, m, load(gate, 2 * units + j)))
            store(gate, j, r)
            store(gate, units + j, z)
            store(gate, 2 * units + j, n)
            store(after, hidden + j, fma(z, load(now, hidden + j) - n, n))


@compiled
def backward(weight, states, gates, space, features, units):
    """Carry `space.state_gradient` back to the first state, and add to `space.weight_gradient` (tiles.py).

    The gradients by m, r, z and n are stored in this order, so that those which multiply the state, m, r and z, lie
    side by side, and so do those which multiply the inputs, r, z and n.
    """
    hidden = states.shape[1] - units
    first = hidden - 2 - features
    one = broadcast(np.float32(1))
    gradients, hidden_gradient = space.gate_gradients, space.state_gradient[hidden:]
    by_m, by_gates, by_inputs = gradients[:units], gradients[units : 3 * units], gradients[units : 4 * units]
    input_weight = weight[:features]  # [F, 3H]
    hidden_to_gates, hidden_to_candidate = weight[features + 2 :, : 2 * units], weight[features + 2 :, 2 * units :]
    of_inputs = space.weight_gradient[: features + 1]
    of_state = space.weight_gradient[features + 1 : features + 2 + units]
    for t in range(states.shape[0] - 2, -1, -1):
        now, gate = states[t], gates[t]
        for j in range(units):
            r, z, n = load(gate, j), load(gate, units + j), load(gate, 2 * units + j)
            m, h, dh = load(gate, 3 * units + j), load(now, hidden + j), load(hidden_gradient, j)
            if space.output_gradients.shape[0]:
                dh = dh + load(space.output_gradients[t], j)
            dn = dh * (one - z) * (one - n * n)
            store(gradients, j, dn * r)  # dm
            store(gradients, units + j, dn * m * r * (one - r))  # dr
            store(gradients, 2 * units + j, dh * (h - n) * z * (one - z))  # dz
            store(gradients, 3 * units + j, dn)
            store(hidden_gradient, j, dh * z)
        transpose(gradients, space.transposed)
        add_outer(of_inputs, now[first : hidden - 1], space.transposed[:, units:], 3 * units)
        add_outer(of_state, now[hidden - 1 :], space.transposed, 3 * units)
        add_product(hidden_gradient, hidden_to_candidate, by_m)
        add_product(hidden_gradient, hidden_to_gates, by_gates)
        if space.output_gradients.shape[0]:
            multiply(space.output_gradients[t, :features], input_weight, by_inputs)

"""The GRU in PyTorch's form for one tile of batch rows, forward and backward through time.

With r the reset gate, z the update gate, n the candidate and m what the state adds to it:

    m = U h + c        n = tanh(W x + b + r * m)        h' = n + z * (h - n)
"""

import numpy as np

from models.kernels.compiling import compiled
from models.kernels.products import add_outer, multiply, transpose
from models.kernels.vectors import broadcast, fma, load, sigmoid, store, tanh


@compiled
def forward(weight, states, gates, features, units):
    """Fill in states [T+1, R, LANES] from the first on, and gates [T, 4H, LANES]: r, z, n, m (tiles.py)."""
    hidden = states.shape[1] - units
    first = hidden - 2 - features
    for t in range(states.shape[0] - 1):
        now, after, gate = states[t], states[t + 1], gates[min(t, gates.shape[0] - 1)]
        multiply(gate, 0, 0, 2 * units, True, weight, 0, 0, True, now, first, 0, features + 2 + units)
        multiply(gate, 2 * units, 0, units, True, weight, 0, 2 * units, True, now, first, 0, features + 1)
        multiply(gate, 3 * units, 0, units, True, weight, features + 1, 2 * units, True, now, hidden - 1, 0, units + 1)
        for j in range(units):
            r, z, m = sigmoid(load(gate, j)), sigmoid(load(gate, units + j)), load(gate, 3 * units + j)
            n = tanh(fma(r, m, load(gate, 2 * units + j)))
            store(gate, j, r)
            store(gate, units + j, z)
            store(gate, 2 * units + j, n)
            store(after, hidden + j, fma(z, load(now, hidden + j) - n, n))


@compiled
def backward(weight, states, gates, slope, slopes, deltas, turned, gradient, features, units):
    """Carry `slope` [R, LANES] from the last state to the first, and add to the weight's `gradient` (tiles.py)."""
    hidden = states.shape[1] - units
    first = hidden - 2 - features
    one = broadcast(np.float32(1))
    for t in range(states.shape[0] - 2, -1, -1):
        now, gate = states[t], gates[t]
        for j in range(units):
            r, z, n = load(gate, j), load(gate, units + j), load(gate, 2 * units + j)
            m, h, dh = load(gate, 3 * units + j), load(now, hidden + j), load(slope, hidden + j)
            if slopes.shape[0]:
                dh = dh + load(slopes[t], j)
            dn = dh * (one - z) * (one - n * n)
            store(deltas, j, dn * r)  # dm
            store(deltas, units + j, dn * m * r * (one - r))  # dr
            store(deltas, 2 * units + j, dh * (h - n) * z * (one - z))  # dz
            store(deltas, 3 * units + j, dn)
            store(slope, hidden + j, dh * z)
        # In this order the slopes by what h is multiplied for, m, r, z, lie side by side; so do x's, r, z, n.
        transpose(deltas, turned)
        add_outer(gradient, 0, features + 1, 3 * units, now, first, turned, units)
        add_outer(gradient, features + 1, units + 1, 3 * units, now, hidden - 1, turned, 0)
        multiply(slope, hidden, 0, units, False, weight, features + 2, 2 * units, False, deltas, 0, 0, units)
        multiply(slope, hidden, 0, units, False, weight, features + 2, 0, False, deltas, units, 0, 2 * units)
        if slopes.shape[0]:
            multiply(slopes[t], 0, 0, features, True, weight, 0, 0, False, deltas, units, 0, 3 * units)

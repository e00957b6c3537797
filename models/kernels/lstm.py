"""The LSTM for one tile of batch rows, forward and backward through time: c' = f * c + i * g, h' = o * tanh(c')."""

import numpy as np

from models.kernels.compiling import compiled
from models.kernels.products import add_outer, multiply, transpose
from models.kernels.vectors import broadcast, fma, load, sigmoid, store, tanh


@compiled
def forward(weight, states, gates, features, units):
    """Fill in states [T+1, R, LANES] from the first on, and gates [T, 5H, LANES]: i, f, g, o, tanh(c') (tiles.py)."""
    cell = states.shape[1] - units
    hidden = cell - units
    first = hidden - 2 - features
    for t in range(states.shape[0] - 1):
        now, after, gate = states[t], states[t + 1], gates[min(t, gates.shape[0] - 1)]
        multiply(gate, 0, 0, 4 * units, True, weight, 0, 0, True, now, first, 0, features + 2 + units)
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
def backward(weight, states, gates, slope, slopes, deltas, turned, gradient, features, units):
    """Carry `slope` [R, LANES] from the last state to the first, and add to the weight's `gradient` (tiles.py)."""
    cell = states.shape[1] - units
    hidden = cell - units
    first = hidden - 2 - features
    one = broadcast(np.float32(1))
    for t in range(states.shape[0] - 2, -1, -1):
        now, gate = states[t], gates[t]
        for j in range(units):
            i, f, g = load(gate, j), load(gate, units + j), load(gate, 2 * units + j)
            o, squashed = load(gate, 3 * units + j), load(gate, 4 * units + j)
            dh = load(slope, hidden + j)
            if slopes.shape[0]:
                dh = dh + load(slopes[t], j)
            dc = fma(dh * o, one - squashed * squashed, load(slope, cell + j))
            store(deltas, j, dc * g * i * (one - i))
            store(deltas, units + j, dc * load(now, cell + j) * f * (one - f))
            store(deltas, 2 * units + j, dc * i * (one - g * g))
            store(deltas, 3 * units + j, dh * squashed * o * (one - o))
            store(slope, cell + j, dc * f)
        transpose(deltas, turned)
        add_outer(gradient, 0, features + 2 + units, 4 * units, now, first, turned, 0)
        multiply(slope, hidden, 0, units, True, weight, features + 2, 0, False, deltas, 0, 0, 4 * units)
        if slopes.shape[0]:
            multiply(slopes[t], 0, 0, features, True, weight, 0, 0, False, deltas, 0, 0, 4 * units)

"""Elman's recurrence for one tile of batch rows, forward and backward through time: h' = tanh(W x + b + U h + c)."""

import numpy as np

from models.kernels.compiling import compiled
from models.kernels.products import add_outer, multiply, transpose
from models.kernels.vectors import broadcast, load, store, tanh


@compiled
def forward(weight, states, gates, features, units):
    """Fill in states [T+1, R, LANES] from the first on; nothing but the states is kept (tiles.py)."""
    hidden = states.shape[1] - units
    first = hidden - 2 - features
    for t in range(states.shape[0] - 1):
        after = states[t + 1]
        multiply(after, hidden, 0, units, True, weight, 0, 0, True, states[t], first, 0, features + 2 + units)
        for j in range(units):
            store(after, hidden + j, tanh(load(after, hidden + j)))


@compiled
def backward(weight, states, gates, slope, slopes, deltas, turned, gradient, features, units):
    """Carry `slope` [R, LANES] from the last state to the first, and add to the weight's `gradient` (tiles.py)."""
    hidden = states.shape[1] - units
    first = hidden - 2 - features
    one = broadcast(np.float32(1))
    for t in range(states.shape[0] - 2, -1, -1):
        now, after = states[t], states[t + 1]
        for j in range(units):
            h, dh = load(after, hidden + j), load(slope, hidden + j)
            if slopes.shape[0]:
                dh = dh + load(slopes[t], j)
            store(deltas, j, dh * (one - h * h))
        transpose(deltas, turned)
        add_outer(gradient, 0, features + 2 + units, units, now, first, turned, 0)
        multiply(slope, hidden, 0, units, True, weight, features + 2, 0, False, deltas, 0, 0, units)
        if slopes.shape[0]:
            multiply(slopes[t], 0, 0, features, True, weight, 0, 0, False, deltas, 0, 0, units)

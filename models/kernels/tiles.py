"""A tile: LANES batch rows of one member, and the memory in which its layers are run.

A layer of F features, H units and G gates has one weight matrix, [F + 2 + H, G * H], whose rows are the input's
weights, the input's bias, the hidden bias and the hidden weights. So its input at each step is one column of
R = F + 2 + H rows, the state: F inputs, 1, 1, and the H hidden units (then, in an LSTM, H cells more). The rows of
`states` hold it, right aligned: layers of fewer features than the widest leave the first rows unused.
"""

from math import prod
from typing import NamedTuple

import numpy as np

from models.kernels import gru, lstm, rnn
from models.kernels.compiling import compiled
from models.kernels.vectors import LANES, WIDTH
from models.population.cells import CELLS

RNN, GRU, LSTM = 0, 1, 2
CELL_CODES = {"rnn": RNN, "gru": GRU, "lstm": LSTM}
GATES = {cell: CELLS[cell].gates for cell in CELL_CODES}
STATES = {"rnn": 1, "gru": 1, "lstm": 2}
"""Values that each unit hands on to the next step."""
KEPT = {"rnn": 0, "gru": 4, "lstm": 5}
"""Values of each unit that the backward pass needs besides the states."""


class Space(NamedTuple):
    """Memory for one tile at a time; each thread has its own. Without a backward pass, the arrays for it are empty."""

    scaling: np.ndarray  # [4 + S, LANES], offsets and scales of the windows (window_scaling.py)
    states: np.ndarray  # [layers, T' + 1, R, LANES]
    highway: np.ndarray  # [L, LANES], the window's last L values, which the highway takes to the head
    gates: np.ndarray  # [layers, T', KEPT * H, LANES]; [layers, 1, ...] without a backward pass
    forecast: np.ndarray  # [S, LANES]
    state_gradient: np.ndarray  # [R, LANES], of the loss with respect to the current state
    output_gradients: np.ndarray  # [T', widest, LANES], with respect to a layer's outputs, then to its inputs
    gate_gradients: np.ndarray  # [rows, LANES], with respect to the inputs of the gates, or to the head's outputs
    transposed: np.ndarray  # [LANES, rows], the transpose of `gate_gradients`
    weight_gradient: np.ndarray  # [F + 2 + H, G * H] of the widest layer, or the head's, rounded up to whole vectors


def make_space(
    cell: str,
    layers: int,
    features: int,
    units: int,
    steps: int,
    horizon: int,
    highway: int,
    backward: bool,
    to_inputs: bool,
) -> Space:
    """Allocate memory for a stack of layers over T' `steps`.

    **Arguments:** `backward`, whether there is a backward pass; `to_inputs`, whether it
    also computes the gradient of a layer's inputs, for the layer below.
    """
    widest = max(features, units) if layers > 1 else features
    rows = widest + 2 + units * STATES[cell]
    gate_rows = max((4 if cell == "gru" else GATES[cell]) * units, horizon)
    columns = _round_up(max(GATES[cell] * units, horizon), LANES)
    # Not a power of 2, whose rows would evict each other from the cache.
    transposed_columns = _round_up(columns + units, LANES) + WIDTH
    states = _aligned(layers, steps + 1, rows, LANES)
    states[:, :, widest : widest + 2] = 1
    return Space(
        scaling=_aligned(4 + horizon, LANES),
        states=states,
        highway=_aligned(highway, LANES),
        gates=_aligned(layers, steps if backward else 1, KEPT[cell] * units, LANES),
        forecast=_aligned(horizon, LANES),
        state_gradient=_aligned(rows, LANES),
        output_gradients=_aligned(steps if to_inputs else 0, max(widest, units), LANES),
        gate_gradients=_aligned(_round_up(gate_rows, WIDTH) if backward else 0, LANES),
        transposed=_aligned(LANES, transposed_columns if backward else 0),
        weight_gradient=_aligned(max(widest + 2 + units, highway) if backward else 0, columns),
    )


@compiled
def run_forward(cell, weight, states, gates, features, units):
    """Run one layer over all steps."""
    if cell == RNN:
        rnn.forward(weight, states, gates, features, units)
    elif cell == GRU:
        gru.forward(weight, states, gates, features, units)
    else:
        lstm.forward(weight, states, gates, features, units)


@compiled
def run_backward(cell, weight, states, gates, space, features, units, gradient):
    """Run one layer backward over all steps, and add its weight's gradient to `gradient` [F + 2 + H, G * H]."""
    space.weight_gradient[:] = 0
    shift = 0  # columns by which the rows of the hidden bias and weights are rotated (gru.py)
    if cell == RNN:
        rnn.backward(weight, states, gates, space, features, units)
    elif cell == GRU:
        gru.backward(weight, states, gates, space, features, units)
        shift = units
    else:
        lstm.backward(weight, states, gates, space, features, units)
    columns = weight.shape[1]
    for row in range(len(weight)):
        ahead = shift if row > features else 0
        for column in range(columns - ahead):
            gradient[row, column] += space.weight_gradient[row, ahead + column]
        for column in range(ahead):
            gradient[row, columns - ahead + column] += space.weight_gradient[row, column]


def _round_up(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple


def _aligned(*shape: int) -> np.ndarray:
    """Return zeros whose rows begin with a cache line."""
    size = prod(shape)
    memory = np.zeros(size + 16, dtype=np.float32)
    begin = -memory.ctypes.data // 4 % 16
    return memory[begin : begin + size].reshape(shape)

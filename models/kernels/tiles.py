"""A tile: LANES batch rows of one member, and the memory in which its layers are run.

A layer of F features, H units and G gates has one weight matrix, [F + 2 + H, G * H], whose rows are the input's
weights, the input's bias, the hidden bias and the hidden weights. So what it multiplies is one column for each step,
the state: F inputs, 1, 1, and the H hidden units (then, in an LSTM, the H cells). The rows of `states` hold it, right
aligned: layers of fewer features than the widest leave the first rows unused.
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
"""Values a unit hands on to the next step."""
KEPT = {"rnn": 0, "gru": 4, "lstm": 5}
"""Values a unit that the backward pass needs besides the states."""


class Space(NamedTuple):
    """Room for one tile at a time; a thread has its own. What is for the backward pass is empty where none is made."""

    frame: np.ndarray  # [4 + S, LANES], where a window is measured from and in what (frames.py)
    states: np.ndarray  # [layers, T + 1, R, LANES]
    straight: np.ndarray  # [L, LANES], what goes straight to the head
    gates: np.ndarray  # [layers, T, KEPT * H, LANES]; [layers, 1, ...] where there is no backward pass
    forecast: np.ndarray  # [S, LANES]
    slope: np.ndarray  # [R, LANES], of the loss by the state at hand
    slopes: np.ndarray  # [T, widest, LANES], by a layer's outputs, then by its inputs; empty for a single layer
    deltas: np.ndarray  # [rows, LANES], by what goes into each gate, or by the answers
    turned: np.ndarray  # [LANES, rows], the same the other way round
    gradient: np.ndarray  # [F + 2 + H, G * H] of the widest layer, or the head's, with room for whole vectors


def make_space(
    cell: str,
    layers: int,
    features: int,
    units: int,
    steps: int,
    horizon: int,
    highway: int,
    backward: bool,
    through: bool,
) -> Space:
    """Room for a stack of layers over T `steps`, with a `backward` pass, `through` to the inputs of a layer."""
    widest = max(features, units) if layers > 1 else features
    rows = widest + 2 + units * STATES[cell]
    deltas = max((4 if cell == "gru" else GATES[cell]) * units, horizon)
    columns = _upwards(max(GATES[cell] * units, horizon), LANES)
    turned = (
        _upwards(columns + units, LANES) + WIDTH
    )  # not a power of 2, whose rows would crowd each other in the cache
    states = _aligned(layers, steps + 1, rows, LANES)
    states[:, :, widest : widest + 2] = 1
    return Space(
        _aligned(4 + horizon, LANES),
        states,
        _aligned(highway, LANES),
        _aligned(layers, steps if backward else 1, KEPT[cell] * units, LANES),
        _aligned(horizon, LANES),
        _aligned(rows, LANES),
        _aligned(steps if through else 0, max(widest, units), LANES),
        _aligned(_upwards(deltas, WIDTH) if backward else 0, LANES),
        _aligned(LANES, turned if backward else 0),
        _aligned(max(widest + 2 + units, highway) if backward else 0, columns),
    )


@compiled
def run_forward(cell, weight, states, gates, features, units):
    """One layer over all steps."""
    if cell == RNN:
        rnn.forward(weight, states, gates, features, units)
    elif cell == GRU:
        gru.forward(weight, states, gates, features, units)
    else:
        lstm.forward(weight, states, gates, features, units)


@compiled
def run_backward(cell, weight, states, gates, space, features, units, out):
    """One layer back over all steps; its weight's gradient is added to `out` [F + 2 + H, G * H]."""
    slope, slopes, deltas, turned, gradient = space.slope, space.slopes, space.deltas, space.turned, space.gradient
    gradient[:] = 0
    shift = 0  # where the gates' columns begin in the rows of the hidden bias and units (gru.py)
    if cell == RNN:
        rnn.backward(weight, states, gates, slope, slopes, deltas, turned, gradient, features, units)
    elif cell == GRU:
        gru.backward(weight, states, gates, slope, slopes, deltas, turned, gradient, features, units)
        shift = units
    else:
        lstm.backward(weight, states, gates, slope, slopes, deltas, turned, gradient, features, units)
    columns = weight.shape[1]
    for row in range(len(weight)):
        ahead = shift if row > features else 0
        for column in range(columns - ahead):
            out[row, column] += gradient[row, ahead + column]
        for column in range(ahead):
            out[row, columns - ahead + column] += gradient[row, column]


def _upwards(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple


def _aligned(*shape: int) -> np.ndarray:
    """Zeros whose rows begin with a cache line."""
    size = prod(shape)
    room = np.zeros(size + 16, dtype=np.float32)
    begin = -room.ctypes.data // 4 % 16
    return room[begin : begin + size].reshape(shape)

"""Whole networks for K members: windows in, forecasts, losses and gradients out, a tile at a time.

What one tile needs, from the gathered windows to the gradient, stays in the processor's cache until it is done. A
member's batch is cut into tiles, and those into at most GROUPS groups of neighbours, which depends on the batch alone;
each group of a member is one item of work. So items may run in any order and on any thread, with the same bits.
"""

from typing import NamedTuple

import numpy as np

from models.kernels.compiling import compiled
from models.kernels.products import add_outer, multiply, transpose
from models.kernels.tiles import run_backward, run_forward
from models.kernels.vectors import LANES, load, store

GROUPS = 32


class Network(NamedTuple):
    """What the members of a population have in common (population.py)."""

    cell: int
    gates: int
    layers: int
    units: int
    state: int  # values that all units hand on to the next step: H, or 2H in an LSTM
    length: int
    horizon: int
    relative: bool
    change: bool
    unit: float
    spread: float


@compiled
def run_items(begin, end, network, flat, values, origins, counts, space, losses, answers, gradients):
    """Run the items from `begin` to `end` of a batch of origins, `count_groups(B)` items a member.

    `origins` [K, B] (or [1, B], the same for all) of which each member's first `counts` [K] are real. Writes forecasts
    into `answers` [K, B, S], or where that is empty, each item's part of the mean squared error into `losses` [items],
    and of its gradient into `gradients` [items, P] unless they are empty.
    """
    batch = origins.shape[1]
    groups = count_groups(batch)
    width = -(-batch // (groups * LANES)) * LANES  # batch rows of a group
    last = np.empty(LANES, dtype=np.float32)
    for item in range(begin, end):
        member, first = item // groups, item % groups * width
        row = origins[min(member, len(origins) - 1), : counts[member]]
        losses[item] = 0
        if len(gradients):
            gradients[item] = 0
        for column in range(first, min(first + width, len(row)), LANES):
            index = row[column : column + LANES]
            _read_windows(network, values, index, space.states[0], last)
            _forward(network, flat[member], last, space)
            if answers.size:
                for lane in range(len(index)):
                    for s in range(network.horizon):
                        answers[member, column + lane, s] = space.forecast[s, lane]
            else:
                losses[item] += _compare(network, values, index, counts[member], space)
            if len(gradients):
                _backward(network, flat[member], space, gradients[item])


@compiled
def count_groups(batch):
    """Items of work a member: its tiles in equal groups."""
    tiles = -(-batch // LANES)
    return -(-tiles // -(-tiles // GROUPS))


@compiled
def _read_windows(network, values, origins, states, last):
    """The window before each origin, as the first layer's input; lanes that are left over take the last one again."""
    row = states.shape[1] - 3 - network.state
    spread = np.float32(network.spread)
    for lane in range(LANES):
        last[lane] = values[origins[min(lane, len(origins) - 1)] - 1]
    for t in range(network.length):
        for lane in range(LANES):
            value = values[origins[min(lane, len(origins) - 1)] - network.length + t]
            states[t, row, lane] = (value - last[lane]) / spread if network.relative else value


@compiled
def _forward(network, weights, last, space):
    """All layers, the head, and what it answers as a `forecast` [S, LANES]."""
    units, columns = network.units, network.gates * network.units
    hidden = space.states.shape[2] - network.state
    begin, features = 0, 1
    for layer in range(network.layers):
        states = space.states[layer]
        if layer:
            for t in range(network.length):
                for j in range(units):
                    store(states[t], hidden - 2 - units + j, load(space.states[layer - 1, t + 1], hidden + j))
        weight = matrix(weights, begin, features + 2 + units, columns)
        run_forward(network.cell, weight, states, space.gates[layer], features, units)
        begin, features = begin + weight.size, units
    head = matrix(weights, begin, 1 + units, network.horizon)
    top = space.states[network.layers - 1, network.length]
    multiply(space.forecast, 0, 0, network.horizon, True, head, 0, 0, True, top, hidden - 1, 0, 1 + units)
    if network.change:
        unit = np.float32(network.unit)
        for s in range(network.horizon):
            for lane in range(LANES):
                space.forecast[s, lane] = last[lane] + unit * space.forecast[s, lane]


@compiled
def _compare(network, values, origins, count, space):
    """A tile's part of the mean squared error over `count` rows; its slope by each answer into `deltas` [S, LANES]."""
    share = np.float32(1 / (count * network.horizon))
    scale = np.float32(2 * network.unit) if network.change else np.float32(2)
    total = 0.0
    for s in range(network.horizon):
        for lane in range(LANES):
            real = lane < len(origins)
            error = space.forecast[s, lane] - values[origins[lane] + s] if real else np.float32(0)
            total += float(error * error)
            if len(space.deltas):
                space.deltas[s, lane] = scale * (share * error)
    return total * share


@compiled
def _backward(network, weights, space, gradient):
    """From the slopes of the answers to the gradient of all weights, which is added to."""
    units, columns = network.units, network.gates * network.units
    hidden = space.states.shape[2] - network.state
    begin = len(weights) - (1 + units) * network.horizon
    head, top = matrix(weights, begin, 1 + units, network.horizon), space.states[network.layers - 1, network.length]
    transpose(space.deltas, space.turned)
    space.gradient[:] = 0
    add_outer(space.gradient, 0, 1 + units, network.horizon, top, hidden - 1, space.turned, 0)
    for i in range(1 + units):
        for s in range(network.horizon):
            gradient[begin + i * network.horizon + s] += space.gradient[i, s]
    space.slopes[:] = 0
    for layer in range(network.layers - 1, -1, -1):
        space.slope[hidden:] = 0
        if layer == network.layers - 1:
            multiply(space.slope, hidden, 0, units, True, head, 1, 0, False, space.deltas, 0, 0, network.horizon)
        features = units if layer else 1
        rows = features + 2 + units
        begin -= rows * columns
        weight, out = matrix(weights, begin, rows, columns), matrix(gradient, begin, rows, columns)
        run_backward(network.cell, weight, space.states[layer], space.gates[layer], space, features, units, out)


@compiled
def matrix(row, begin, rows, columns):
    """row[begin : begin + rows * columns] as a matrix [rows, columns]."""
    return row[begin : begin + rows * columns].reshape((rows, columns))

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
from models.kernels.window_scaling import FACTOR, UNIT, read_windows, write_answers

GROUPS = 32


class NetworkShape(NamedTuple):
    """What the members of a population have in common (population.py)."""

    cell: int
    gates: int
    layers: int
    units: int
    state: int  # values that all units hand on to the next step: H, or 2H in an LSTM
    length: int
    steps: int
    segment: int
    horizon: int
    season: int
    n_covariates: int
    n_known: int
    highway: int
    reads: int  # one of frames.py's places to measure from
    answers: int
    windowed: bool  # whether the window's own deviation counts
    absolute: bool  # whether the loss is the absolute error, not the squared one


@compiled
def run_items(begin, end, network, flat, training_scales, points, origins, counts, space, losses, answers, gradients):
    """Run the items from `begin` to `end` of a batch of origins, `count_groups(B)` items a member.

    `training_scales` [3, K] is what is usual for each member (framing.py), `points` the values [P], goals [P] and columns [P, F].
    `origins` [K, B] (or [1, B], the same for all) of which each member's first `counts` [K] are real. Writes forecasts
    into `answers` [K, B, S], or where that is empty, each item's part of the loss into `losses` [items], and of its
    gradient into `gradients` [items, P] unless they are empty.
    """
    batch = origins.shape[1]
    groups = count_groups(batch)
    width = -(-batch // (groups * LANES)) * LANES  # batch rows of a group
    values, targets, columns = points
    for item in range(begin, end):
        member, first = item // groups, item % groups * width
        row = origins[min(member, len(origins) - 1), : counts[member]]
        losses[item] = 0
        if len(gradients):
            gradients[item] = 0
        for column in range(first, min(first + width, len(row)), LANES):
            index = row[column : column + LANES]
            read_windows(network, values, columns, index, training_scales[:, member], space)
            _forward(network, flat[member], columns, index, space)
            if answers.size:
                for lane in range(len(index)):
                    for s in range(network.horizon):
                        answers[member, column + lane, s] = space.forecast[s, lane]
            else:
                losses[item] += _compare(network, targets, index, counts[member], space)
            if len(gradients):
                _backward(network, flat[member], columns, index, space, gradients[item])


@compiled
def count_groups(batch):
    """Items of work a member: its tiles in equal groups."""
    tiles = -(-batch // LANES)
    return -(-tiles // -(-tiles // GROUPS))


@compiled
def _forward(network, weights, columns, origins, space):
    """All layers, the head, and what it answers as a `forecast` [S, LANES]."""
    units, width = network.units, network.gates * network.units
    hidden = space.states.shape[2] - network.state
    begin, features = 0, network.segment + network.n_covariates
    for layer in range(network.layers):
        states = space.states[layer]
        if layer:
            for t in range(network.steps):
                for j in range(units):
                    store(states[t], hidden - 2 - units + j, load(space.states[layer - 1, t + 1], hidden + j))
        weight = matrix(weights, begin, features + 2 + units, width)
        run_forward(network.cell, weight, states, space.gates[layer], features, units)
        begin, features = begin + weight.size, units
    straight = 1 + units  # the head's first row for what comes from the window itself
    head = matrix(weights, begin, straight + network.highway + network.n_known, network.horizon)
    top = space.states[network.layers - 1, network.steps]
    multiply(space.forecast, 0, 0, network.horizon, True, head, 0, 0, True, top, hidden - 1, 0, straight)
    if network.highway:
        multiply(space.forecast, 0, 0, network.horizon, False, head, straight, 0, True, space.straight, 0, 0,
                 network.highway)  # fmt: skip
    for f in range(network.n_known):
        for s in range(network.horizon):
            for lane in range(len(origins)):
                space.forecast[s, lane] += head[straight + network.highway + f, s] * columns[origins[lane] + s, f]
    write_answers(network, space)


@compiled
def _compare(network, targets, origins, count, space):
    """A tile's part of the loss over `count` rows; its slope by what the head answers into `deltas` [S, LANES]."""
    share = np.float32(1 / (count * network.horizon))
    total = 0.0
    for s in range(network.horizon):
        for lane in range(LANES):
            error = np.float32(0)
            if lane < len(origins):
                target = targets[origins[lane] + s]
                if target == target:  # observed
                    error = (space.forecast[s, lane] - target) / space.frame[UNIT, lane]
            total += float(abs(error)) if network.absolute else float(error * error)
            if len(space.deltas):
                slope = np.float32(np.sign(error)) if network.absolute else np.float32(2) * error
                space.deltas[s, lane] = space.frame[FACTOR, lane] / space.frame[UNIT, lane] * (share * slope)
    return total * share


@compiled
def _backward(network, weights, columns, origins, space, gradient):
    """From the slopes of what the head answers to the gradient of all weights, which is added to."""
    units, width = network.units, network.gates * network.units
    hidden = space.states.shape[2] - network.state
    straight, known = 1 + units, 1 + units + network.highway
    begin = len(weights) - (known + network.n_known) * network.horizon
    head = matrix(weights, begin, known + network.n_known, network.horizon)
    by_head = matrix(gradient, begin, known + network.n_known, network.horizon)
    top = space.states[network.layers - 1, network.steps]
    transpose(space.deltas, space.turned)
    _add_product(by_head, 0, straight, top, hidden - 1, space)
    if network.highway:
        _add_product(by_head, straight, network.highway, space.straight, 0, space)
    for f in range(network.n_known):
        for s in range(network.horizon):
            for lane in range(len(origins)):
                by_head[known + f, s] += space.deltas[s, lane] * columns[origins[lane] + s, f]
    space.slopes[:] = 0
    for layer in range(network.layers - 1, -1, -1):
        space.slope[hidden:] = 0
        if layer == network.layers - 1:
            multiply(space.slope, hidden, 0, units, True, head, 1, 0, False, space.deltas, 0, 0, network.horizon)
        features = units if layer else network.segment + network.n_covariates
        rows = features + 2 + units
        begin -= rows * width
        weight, out = matrix(weights, begin, rows, width), matrix(gradient, begin, rows, width)
        run_backward(network.cell, weight, space.states[layer], space.gates[layer], space, features, units, out)


@compiled
def _add_product(by_head, row, rows, told, told_row, space):
    """Add to the head's gradient from `row` on: what it was told, times the slopes of what it answered."""
    space.gradient[:] = 0
    add_outer(space.gradient, 0, rows, by_head.shape[1], told, told_row, space.turned, 0)
    for i in range(rows):
        for s in range(by_head.shape[1]):
            by_head[row + i, s] += space.gradient[i, s]


@compiled
def matrix(row, begin, rows, columns):
    """row[begin : begin + rows * columns] as a matrix [rows, columns]."""
    return row[begin : begin + rows * columns].reshape((rows, columns))

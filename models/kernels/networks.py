"""Whole networks for K members: windows in, forecasts, losses and gradients out, a tile at a time.

What a tile needs, from the gathered windows to the gradient, stays in the processor's cache until the tile is done.
A member's batch is cut into tiles, and these into at most GROUPS groups of neighbours, by the size of the batch alone;
each group of a member is one item of work. So items may run in any order and on any thread, with the same bits.
"""

from typing import NamedTuple

import numpy as np

from models.kernels.compiling import compiled
from models.kernels.products import add_outer, add_product, multiply, transpose
from models.kernels.tiles import run_backward, run_forward
from models.kernels.vectors import LANES, load, store
from models.kernels.window_scaling import ERROR_SCALE, TARGET_SCALE, read_windows, unscale_forecast

GROUPS = 32


class NetworkShape(NamedTuple):
    """What the members of a population have in common (models/population/network.py)."""

    cell: int
    gates: int
    layers: int
    units: int
    state: int  # values that all units hand on to the next step: H, or 2H in an LSTM
    length: int
    steps: int  # of the recurrence, T'
    segment: int
    horizon: int
    season: int
    n_covariates: int
    n_known: int
    highway: int
    input_offset: int  # one of window_scaling.py's OFFSET_CODES
    target_offset: int
    scaled_by_window: bool  # divide by each window's own deviation
    absolute: bool  # the loss is the absolute error, not the squared one


class Points(NamedTuple):
    """The points of a panel: `values` [P], `targets` [P], NaN where missing, and `covariates` [P, F]."""

    values: np.ndarray
    targets: np.ndarray
    covariates: np.ndarray


@compiled
def run_items(begin, end, network, flat, training_scales, points, origins, counts, space, losses, forecasts, gradients):
    """Run the items from `begin` to `end` of a batch of origins, `count_groups(B)` items for each member.

    `flat` [K, W] are the weights, `training_scales` [3, K] those of each member. Of `origins` [K, B] (or [1, B], shared
    by all) each member's first `counts` [K] are real. Writes forecasts into `forecasts` [K, B, S]; or where that is
    empty, each item's part of the loss into `losses` [items], and of the gradient into `gradients` [items, W] unless
    that is empty too.
    """
    batch = origins.shape[1]
    groups = count_groups(batch)
    width = -(-batch // (groups * LANES)) * LANES  # batch rows of a group
    for item in range(begin, end):
        member, first = item // groups, item % groups * width
        member_origins = origins[min(member, len(origins) - 1), : counts[member]]
        losses[item] = 0
        if len(gradients):
            gradients[item] = 0
        for column in range(first, min(first + width, len(member_origins)), LANES):
            index = member_origins[column : column + LANES]
            read_windows(network, points.values, points.covariates, index, training_scales[:, member], space)
            _forward(network, flat[member], points.covariates, index, space)
            if forecasts.size:
                for lane in range(len(index)):
                    for s in range(network.horizon):
                        forecasts[member, column + lane, s] = space.forecast[s, lane]
            else:
                losses[item] += _compare(network, points.targets, index, counts[member], space)
            if len(gradients):
                _backward(network, flat[member], points.covariates, index, space, gradients[item])


@compiled
def count_groups(batch):
    """Return the number of items of work for each member: its tiles in groups of equal size."""
    tiles = -(-batch // LANES)
    return -(-tiles // -(-tiles // GROUPS))


@compiled
def _forward(network, weights, covariates, origins, space):
    """Run all layers and the head, whose forecast goes to `space.forecast` [S, LANES]."""
    units, width = network.units, network.gates * network.units
    hidden = space.states.shape[2] - network.state
    begin, features = 0, network.segment + network.n_covariates
    for layer in range(network.layers):
        states = space.states[layer]
        if layer:
            for t in range(network.steps):
                for j in range(units):
                    store(states[t], hidden - 2 - units + j, load(space.states[layer - 1, t + 1], hidden + j))
        weight = as_matrix(weights, begin, features + 2 + units, width)
        run_forward(network.cell, weight, states, space.gates[layer], features, units)
        begin, features = begin + weight.size, units
    highway_row = 1 + units  # the head's first row for the highway
    covariate_row = highway_row + network.highway  # and for the covariates known ahead
    head = as_matrix(weights, begin, covariate_row + network.n_known, network.horizon)
    top = space.states[network.layers - 1, network.steps]
    multiply(space.forecast, head[:highway_row].T, top[hidden - 1 : hidden + units])
    if network.highway:
        add_product(space.forecast, head[highway_row:covariate_row].T, space.highway)
    for f in range(network.n_known):
        for s in range(network.horizon):
            for lane in range(len(origins)):
                space.forecast[s, lane] += head[covariate_row + f, s] * covariates[origins[lane] + s, f]
    unscale_forecast(network, space)


@compiled
def _compare(network, targets, origins, count, space):
    """Return a tile's part of the loss over `count` rows.

    The gradient with respect to the head's outputs goes to `space.gate_gradients` [S, LANES].
    """
    share = np.float32(1 / (count * network.horizon))
    total = 0.0
    for s in range(network.horizon):
        for lane in range(LANES):
            error = np.float32(0)
            if lane < len(origins):
                target = targets[origins[lane] + s]
                if target == target:  # observed
                    error = (space.forecast[s, lane] - target) / space.scaling[ERROR_SCALE, lane]
            total += float(abs(error)) if network.absolute else float(error * error)
            if len(space.gate_gradients):
                gradient = np.float32(np.sign(error)) if network.absolute else np.float32(2) * error
                scale = space.scaling[TARGET_SCALE, lane] / space.scaling[ERROR_SCALE, lane]
                space.gate_gradients[s, lane] = scale * (share * gradient)
    return total * share


@compiled
def _backward(network, weights, covariates, origins, space, gradient):
    """Add the gradient of all weights to `gradient` [W], from that of the head's outputs in `space.gate_gradients`."""
    units, width = network.units, network.gates * network.units
    hidden = space.states.shape[2] - network.state
    highway_row, covariate_row = 1 + units, 1 + units + network.highway
    begin = len(weights) - (covariate_row + network.n_known) * network.horizon
    head = as_matrix(weights, begin, covariate_row + network.n_known, network.horizon)
    head_gradient = as_matrix(gradient, begin, covariate_row + network.n_known, network.horizon)
    top = space.states[network.layers - 1, network.steps]
    transpose(space.gate_gradients, space.transposed)
    _add_head_gradient(head_gradient[:highway_row], top[hidden - 1 : hidden + units], space)
    if network.highway:
        _add_head_gradient(head_gradient[highway_row:covariate_row], space.highway, space)
    for f in range(network.n_known):
        for s in range(network.horizon):
            for lane in range(len(origins)):
                head_gradient[covariate_row + f, s] += space.gate_gradients[s, lane] * covariates[origins[lane] + s, f]
    space.output_gradients[:] = 0
    for layer in range(network.layers - 1, -1, -1):
        space.state_gradient[hidden:] = 0
        if layer == network.layers - 1:
            top_gradient = space.state_gradient[hidden : hidden + units]
            multiply(top_gradient, head[1:highway_row], space.gate_gradients[: network.horizon])
        features = units if layer else network.segment + network.n_covariates
        rows = features + 2 + units
        begin -= rows * width
        weight, weight_gradient = as_matrix(weights, begin, rows, width), as_matrix(gradient, begin, rows, width)
        run_backward(network.cell, weight, space.states[layer], space.gates[layer], space, features, units,
                     weight_gradient)  # fmt: skip


@compiled
def _add_head_gradient(head_gradient, features, space):
    """Add to rows of the head's gradient [rows, S]: its input features [rows, LANES] times its outputs' gradients."""
    rows, horizon = head_gradient.shape
    space.weight_gradient[:] = 0
    add_outer(space.weight_gradient[:rows], features, space.transposed, horizon)
    for i in range(rows):
        for s in range(horizon):
            head_gradient[i, s] += space.weight_gradient[i, s]


@compiled
def as_matrix(row, begin, rows, columns):
    """Return row[begin : begin + rows * columns] as a matrix [rows, columns], a view."""
    return row[begin : begin + rows * columns].reshape((rows, columns))

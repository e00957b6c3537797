"""Windows in and answers out for one tile of batch rows: each lane in its own window's frame (models/population/window_scaling.py).

The rows of a tile's `frame` [4 + S, LANES] are the centre and the size of what is read, the factor of what is answered,
the unit of errors, and the base of each answer.
"""

import numpy as np

from models.kernels.compiling import compiled
from models.kernels.vectors import LANES

VALUE, FROM_LAST, FROM_MEAN, FROM_SEASON = 0, 1, 2, 3
PLACES = {"none": VALUE, "last": FROM_LAST, "mean": FROM_MEAN, "season": FROM_SEASON}
CENTRE, SIZE, FACTOR, UNIT, BASE = 0, 1, 2, 3, 4
SPREAD, CHANGE, LEAST = 0, 1, 2
"""The order of `models.population.window_scaling.TrainingScales`."""


@compiled
def read_windows(network, values, columns, origins, training_scales, space):
    """The window before each origin, as the first layer's input; lanes that are left over take the last one again."""
    states, frame = space.states[0], space.frame
    row = states.shape[1] - network.state - 2 - network.segment - network.n_covariates
    for lane in range(LANES):
        _measure(network, values, origins[min(lane, len(origins) - 1)], training_scales, frame, lane)
    for t in range(network.steps):
        for lane in range(LANES):
            first = origins[min(lane, len(origins) - 1)] - (network.steps - t) * network.segment
            for i in range(network.segment):
                states[t, row + i, lane] = (values[first + i] - frame[CENTRE, lane]) / frame[SIZE, lane]
            for f in range(network.n_covariates):
                states[t, row + network.segment + f, lane] = columns[first + network.segment - 1, f]
    for i in range(network.highway):
        for lane in range(LANES):
            point = origins[min(lane, len(origins) - 1)] - network.highway + i
            space.straight[i, lane] = (values[point] - frame[CENTRE, lane]) / frame[SIZE, lane]


@compiled
def _measure(network, values, origin, training_scales, frame, lane):
    """The frame of the window before one origin."""
    first, last = origin - network.length, values[origin - 1]
    unit, mean = np.float32(1), np.float32(0)
    if network.windowed or network.reads == FROM_MEAN or network.answers == FROM_MEAN:
        total = 0.0
        for t in range(network.length):
            total += values[first + t]
        mean = np.float32(total / network.length)
    if network.windowed:
        total = 0.0
        for t in range(network.length):
            total += float(values[first + t] - mean) ** 2
        unit = max(np.float32(np.sqrt(total / network.length)), training_scales[LEAST])
    frame[CENTRE, lane] = _place(network.reads, last, mean)
    frame[SIZE, lane] = unit if network.reads == VALUE else unit * training_scales[SPREAD]
    frame[FACTOR, lane] = unit if network.answers == VALUE else unit * training_scales[CHANGE]
    frame[UNIT, lane] = unit
    for s in range(network.horizon):
        if network.answers == FROM_SEASON:
            frame[BASE + s, lane] = values[origin - network.season + s % network.season]
        else:
            frame[BASE + s, lane] = _place(network.answers, last, mean)


@compiled
def _place(place, last, mean):
    if place == FROM_LAST:
        return last
    return mean if place == FROM_MEAN else np.float32(0)


@compiled
def write_answers(network, space):
    """What the head answered, in the panel's scale."""
    for s in range(network.horizon):
        for lane in range(LANES):
            space.forecast[s, lane] = space.frame[BASE + s, lane] + space.frame[FACTOR, lane] * space.forecast[s, lane]

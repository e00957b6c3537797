"""Read the inputs and write the forecasts of one tile, each lane in the scaling of its own window.

`models/population/window_scaling.py` is the reference. The rows of a tile's `scaling` [4 + S, LANES] are the input
offset, the input scale, the target scale, the scale of errors, and the target offset of each step ahead.
"""

import numpy as np

from models.kernels.compiling import compiled
from models.kernels.vectors import LANES

NONE, LAST, MEAN, SEASON = 0, 1, 2, 3
OFFSET_CODES = {"none": NONE, "last": LAST, "mean": MEAN, "season": SEASON}
INPUT_OFFSET, INPUT_SCALE, TARGET_SCALE, ERROR_SCALE, TARGET_OFFSET = 0, 1, 2, 3, 4
OF_INPUTS, OF_TARGETS, LEAST_DEVIATION = 0, 1, 2
"""The order of `models.population.window_scaling.TrainingScales`."""


@compiled
def read_windows(network, values, covariates, origins, training_scales, space):
    """Write the scaled window before each origin into the first layer's inputs; spare lanes repeat the last window."""
    states, scaling = space.states[0], space.scaling
    first_row = states.shape[1] - network.state - 2 - network.segment - network.n_covariates
    for lane in range(LANES):
        _measure(network, values, origins[min(lane, len(origins) - 1)], training_scales, scaling, lane)
    for t in range(network.steps):
        for lane in range(LANES):
            first = origins[min(lane, len(origins) - 1)] - (network.steps - t) * network.segment
            for i in range(network.segment):
                value = values[first + i] - scaling[INPUT_OFFSET, lane]
                states[t, first_row + i, lane] = value / scaling[INPUT_SCALE, lane]
            for f in range(network.n_covariates):
                states[t, first_row + network.segment + f, lane] = covariates[first + network.segment - 1, f]
    for i in range(network.highway):
        for lane in range(LANES):
            point = origins[min(lane, len(origins) - 1)] - network.highway + i
            space.highway[i, lane] = (values[point] - scaling[INPUT_OFFSET, lane]) / scaling[INPUT_SCALE, lane]


@compiled
def _measure(network, values, origin, training_scales, scaling, lane):
    """Write the scaling of the window before one origin into its lane."""
    first, last = origin - network.length, values[origin - 1]
    scale, mean = np.float32(1), np.float32(0)
    if network.scaled_by_window or network.input_offset == MEAN or network.target_offset == MEAN:
        total = 0.0
        for t in range(network.length):
            total += values[first + t]
        mean = np.float32(total / network.length)
    if network.scaled_by_window:
        total = 0.0
        for t in range(network.length):
            total += float(values[first + t] - mean) ** 2
        scale = max(np.float32(np.sqrt(total / network.length)), training_scales[LEAST_DEVIATION])
    scaling[INPUT_OFFSET, lane] = _offset(network.input_offset, last, mean)
    scaling[INPUT_SCALE, lane] = scale if network.input_offset == NONE else scale * training_scales[OF_INPUTS]
    scaling[TARGET_SCALE, lane] = scale if network.target_offset == NONE else scale * training_scales[OF_TARGETS]
    scaling[ERROR_SCALE, lane] = scale
    for s in range(network.horizon):
        if network.target_offset == SEASON:
            scaling[TARGET_OFFSET + s, lane] = values[origin - network.season + s % network.season]
        else:
            scaling[TARGET_OFFSET + s, lane] = _offset(network.target_offset, last, mean)


@compiled
def _offset(code, last, mean):
    if code == LAST:
        return last
    return mean if code == MEAN else np.float32(0)


@compiled
def unscale_forecast(network, space):
    """Turn the head's outputs in `space.forecast` [S, LANES] into values of the panel."""
    for s in range(network.horizon):
        for lane in range(LANES):
            output = space.scaling[TARGET_SCALE, lane] * space.forecast[s, lane]
            space.forecast[s, lane] = space.scaling[TARGET_OFFSET + s, lane] + output

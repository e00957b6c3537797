"""Adam for all members in one pass: each gradient is summed up, clipped, and applied."""

import math

import numpy as np

from models.kernels.compiling import compiled
from models.kernels.vectors import LANES, broadcast, fma, load, store


@compiled
def update(flat, mean, square, gradients, count, rates, moving, betas, epsilon, decay, clip):
    """Update the members marked in `moving` [K] as `models.population.adam.Adam` does.

    `gradients` [K * items, W] are summed over each member's items in order. A `clip` of 0 means no clipping.
    """
    items = len(gradients) // len(flat)
    first, second = np.float32(betas[0]), np.float32(betas[1])
    one = np.float32(1)
    for k in range(len(flat)):
        if not moving[k]:
            continue
        gradient = gradients[k * items]
        for item in range(k * items + 1, (k + 1) * items):
            gradient += gradients[item]
        count[k] += 1
        scale = one
        if clip > 0:
            scale = np.float32(min(1.0, clip / (_norm(gradient) + 1e-6)))
        shrinkage = np.float32(1 - rates[k] * decay)
        step = np.float32(rates[k] / (1 - betas[0] ** count[k]))
        root = np.float32(1 / math.sqrt(1 - betas[1] ** count[k]))
        weights, means, squares = flat[k], mean[k], square[k]
        for w in range(len(gradient)):
            g = gradient[w] * scale
            means[w] += (one - first) * (g - means[w])
            squares[w] += (one - second) * (g * g - squares[w])
            weights[w] = shrinkage * weights[w] - step * means[w] / (math.sqrt(squares[w]) * root + np.float32(epsilon))


@compiled
def _norm(row):
    """Return the Euclidean norm: squares are summed in LANES parallel sums, then these in order."""
    whole = len(row) // LANES
    parts = row[: whole * LANES].reshape((whole, LANES))
    sums = np.empty((1, LANES), dtype=np.float32)
    total = broadcast(np.float32(0))
    for i in range(whole):
        part = load(parts, i)
        total = fma(part, part, total)
    store(sums, 0, total)
    squares = 0.0
    for value in sums[0]:
        squares += value
    for value in row[whole * LANES :]:
        squares += value * value
    return math.sqrt(squares)

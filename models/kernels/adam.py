"""Adam for all members in one pass: the gradient's sum, its clipping and the update, member by member."""

import math

import numpy as np

from models.kernels.compiling import compiled
from models.kernels.vectors import LANES, broadcast, fma, load, store


@compiled
def update(flat, mean, square, gradients, count, rate, moves, betas, epsilon, decay, clip):
    """Move all members as `models.population.adam.Adam` does, those that `moves` [K] names.

    `gradients` [K * items, P] is added up over each member's items in order; a `clip` of 0 is none.
    """
    items = len(gradients) // len(flat)
    first, second = np.float32(betas[0]), np.float32(betas[1])
    one = np.float32(1)
    for k in range(len(flat)):
        if not moves[k]:
            continue
        gradient = gradients[k * items]
        for item in range(k * items + 1, (k + 1) * items):
            gradient += gradients[item]
        count[k] += 1
        scale = one
        if clip > 0:
            scale = np.float32(min(1.0, clip / (_norm(gradient) + 1e-6)))
        lasting = np.float32(1 - rate[k] * decay)
        step = np.float32(rate[k] / (1 - betas[0] ** count[k]))
        root = np.float32(1 / math.sqrt(1 - betas[1] ** count[k]))
        weights, means, squares = flat[k], mean[k], square[k]
        for p in range(len(gradient)):
            g = gradient[p] * scale
            means[p] += (one - first) * (g - means[p])
            squares[p] += (one - second) * (g * g - squares[p])
            weights[p] = lasting * weights[p] - step * means[p] / (math.sqrt(squares[p]) * root + np.float32(epsilon))


@compiled
def _norm(row):
    """Euclidean norm, summed in LANES parts and then over them, in order."""
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

"""One compiled layer as a differentiable function, so that all around it stays ordinary PyTorch."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.kernels.compiling import compiled
from models.kernels.tiles import CELL_CODES, GATES, STATES, make_space, run_backward, run_forward
from models.kernels.vectors import LANES


def recurrence(cell: str, x: Tensor, weight: Tensor, state: Tensor | None = None) -> Tensor:
    """Outputs [T, K, B, H] of one layer, as the cell of that name in `models.population.cells` gives them, in float32 on the CPU.

    Differentiable in x [T, K, B, F], weight [K, F + 2 + H, G * H] and the initial state [K, B, H] ([K, B, 2H] in an
    LSTM). The backward pass keeps all gates of all steps, where networks.py keeps those of a tile.
    """
    if state is None:
        units = weight.shape[2] // GATES[cell]
        state = x.new_zeros(*x.shape[1:3], units * STATES[cell])
    outputs: Tensor = _Recurrence.apply(cell, x, weight, state)
    return outputs


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, cell: str, x: Tensor, weight: Tensor, state: Tensor) -> Tensor:
        inputs, weights, begin = (np.ascontiguousarray(tensor.detach().numpy()) for tensor in (x, weight, state))
        steps, members, batch, features = x.shape
        units = weight.shape[2] // GATES[cell]
        tiles = members * -(-batch // LANES)
        spaces = [make_space(cell, 1, features, units, steps, 1, 0, True, True) for _ in range(tiles)]
        outputs = np.empty((steps, members, batch, units), dtype=np.float32)
        for i in range(tiles):
            _run(CELL_CODES[cell], i, inputs, weights, begin, spaces[i], outputs)
        ctx.cell, ctx.spaces, ctx.shape, ctx.weight = cell, spaces, (x.shape, state.shape), weights
        return torch.from_numpy(outputs)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        x_shape, state_shape = ctx.shape
        by_outputs = np.ascontiguousarray(slopes[0].numpy())
        by_x, by_state = np.empty(x_shape, dtype=np.float32), np.empty(state_shape, dtype=np.float32)
        members, batch = by_state.shape[:2]
        tiles = -(-batch // LANES)
        parts = np.zeros((members * tiles, *ctx.weight.shape[1:]), dtype=np.float32)
        for i in range(members * tiles):
            _run_back(CELL_CODES[ctx.cell], i, ctx.weight, ctx.spaces[i], by_outputs, by_x, by_state, parts)
        by_weight = parts.reshape(members, tiles, *parts.shape[1:]).sum(axis=1)
        return None, torch.from_numpy(by_x), torch.from_numpy(by_weight), torch.from_numpy(by_state)


@compiled
def _run(cell, item, x, weight, state, space, outputs):
    """Tile number `item`: its inputs and initial state into the space, all steps, and its outputs."""
    steps, _, batch, features = x.shape
    units, rows = outputs.shape[3], state.shape[2]
    tiles = -(-batch // LANES)
    member, begin = item // tiles, item % tiles * LANES
    states = space.states[0]
    hidden = states.shape[1] - rows
    for lane in range(LANES):
        row = min(begin + lane, batch - 1)
        for j in range(rows):
            states[0, hidden + j, lane] = state[member, row, j]
        for t in range(steps):
            for f in range(features):
                states[t, f, lane] = x[t, member, row, f]
    run_forward(cell, weight[member], states, space.gates[0], features, units)
    for t in range(steps):
        for lane in range(min(LANES, batch - begin)):
            for j in range(units):
                outputs[t, member, begin + lane, j] = states[t + 1, hidden + j, lane]


@compiled
def _run_back(cell, item, weight, space, by_outputs, by_x, by_state, by_weight):
    """Tile number `item`: the slopes by its outputs into the space, all steps back, and the slopes by the rest."""
    steps, _, batch, features = by_x.shape
    units, rows = by_outputs.shape[3], by_state.shape[2]
    tiles = -(-batch // LANES)
    member, begin = item // tiles, item % tiles * LANES
    hidden = space.slope.shape[0] - rows
    real = min(LANES, batch - begin)
    space.slope[:] = 0
    space.slopes[:] = 0
    for t in range(steps):
        for lane in range(real):
            for j in range(units):
                space.slopes[t, j, lane] = by_outputs[t, member, begin + lane, j]
    run_backward(cell, weight[member], space.states[0], space.gates[0], space, features, units, by_weight[item])
    for lane in range(real):
        for j in range(rows):
            by_state[member, begin + lane, j] = space.slope[hidden + j, lane]
        for t in range(steps):
            for f in range(features):
                by_x[t, member, begin + lane, f] = space.slopes[t, f, lane]

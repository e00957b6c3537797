"""The vector layer of the kernels, function by function, against NumPy."""

import numpy as np
import pytest
from numba import njit

from models.kernels.products import add_outer, add_product, multiply, transpose
from models.kernels.vectors import LANES, WIDTH, broadcast, clamp, fma, load, sigmoid, store, tanh

RNG = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


@njit
def combine(tile: np.ndarray, out: np.ndarray) -> None:
    a, b = load(tile, 0), load(tile, 1)
    store(out, 0, a + b)
    store(out, 1, a - b)
    store(out, 2, a * b)
    store(out, 3, a / b)
    store(out, 4, fma(a, b, broadcast(np.float32(2))))
    store(out, 5, clamp(a, np.float32(0.5)))


def test_vectors_are_added_multiplied_and_clamped_lane_by_lane() -> None:
    tile, out = floats(2, LANES), np.empty((6, LANES), np.float32)
    combine(tile, out)
    a, b = tile
    np.testing.assert_array_equal(out[:4], [a + b, a - b, a * b, a / b])
    np.testing.assert_allclose(out[4], a.astype(np.float64) * b + 2, rtol=1e-7)  # rounded once
    np.testing.assert_array_equal(out[5], a.clip(-0.5, 0.5))


@njit
def activate(tile: np.ndarray, out: np.ndarray) -> None:
    for i in range(len(tile)):
        store(out, 2 * i, tanh(load(tile, i)))
        store(out, 2 * i + 1, sigmoid(load(tile, i)))


def test_tanh_and_sigmoid_are_right_everywhere_and_never_beyond_one() -> None:
    values = np.concatenate([np.linspace(-30, 30, 2**16), np.geomspace(1e-30, 1, 2**10)]).astype(np.float32)
    tile = values.reshape(-1, LANES)
    out = np.empty((2 * len(tile), LANES), np.float32)
    activate(tile, out)
    ours = out.reshape(-1, 2, LANES)
    exact = values.astype(np.float64).reshape(-1, LANES)
    np.testing.assert_allclose(ours[:, 0], np.tanh(exact), rtol=5e-7, atol=1e-37)
    np.testing.assert_allclose(ours[:, 1], 1 / (1 + np.exp(-exact)), rtol=0, atol=3e-7)
    assert np.abs(ours).max() <= 1


def test_what_is_not_a_number_stays_none() -> None:
    tile, out = np.full((1, LANES), np.nan, np.float32), np.zeros((2, LANES), np.float32)
    activate(tile, out)
    assert np.isnan(out).all()


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 8, 9, 15, 16, 31])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("adding", [False, True])
def test_a_product_of_views_of_any_height_equals_numpys(rows: int, transposed: bool, adding: bool) -> None:
    depth = 5
    a = floats(depth + 1, rows + 2)[1:, 2:].T if transposed else floats(rows + 2, depth + 1)[2:, 1:]
    b, c = floats(depth + 3, 2 * LANES)[2 : 2 + depth, LANES:], floats(rows + 4, 2 * LANES)
    ours, expected = c.copy(), c.astype(np.float64)
    (add_product if adding else multiply)(ours[3 : 3 + rows, LANES:], a, b)
    block = expected[3 : 3 + rows, LANES:]
    block[:] = a.astype(np.float64) @ b + (block if adding else 0)
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5)  # and nothing beside the block has changed


def test_a_transpose_covers_every_block() -> None:
    tile, transposed = floats(3 * WIDTH, LANES), np.zeros((LANES, 3 * WIDTH + 5), np.float32)
    transpose(tile, transposed)
    np.testing.assert_array_equal(transposed[:, : 3 * WIDTH], tile.T)
    assert (transposed[:, 3 * WIDTH :] == 0).all()


def test_outer_products_are_summed_over_the_lanes() -> None:
    state, transposed, gradient = floats(9, LANES), floats(LANES, 3 * LANES), np.zeros((12, 2 * LANES), np.float32)
    add_outer(gradient[2:9], state[1:8], transposed[:, 4:], LANES + 3)
    expected = state[1:8].astype(np.float64) @ transposed[:, 4 : 4 + 2 * LANES]
    np.testing.assert_allclose(gradient[2:9], expected, rtol=1e-5, atol=1e-5)
    assert (gradient[[0, 1, 9, 10, 11]] == 0).all()

"""The RNN from scratch: its truncated gradients, its updates, and how well it learns a sine."""

import math
from contextlib import closing

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view

from models.data.panel import one_series
from models.errors import InputError
from models.metrics import rmse
from models.network import Epoch
from models.numpy_rnn import NumpyRNN, Weights, last_states, loss_and_gradients
from models.specs import ModelSpec, NumpyRNNSpec, WindowSpec
from tests.support.networks import assert_weights_are_restored

SINE = one_series("sine", np.sin(np.arange(200.0)))
TRAIN, VALIDATION = np.arange(50, 150), np.arange(150, 200)
CHOSEN = NumpyRNNSpec(hidden=100, epochs=250, batch=100, learning_rate=0.05, truncate=5, clip=10)
SMALL = CHOSEN.model_copy(update={"hidden": 8, "epochs": 4})


def network(spec: NumpyRNNSpec, seed: int = 0, horizon: int = 1) -> NumpyRNN:
    return NumpyRNN(
        ModelSpec(model="numpy_rnn", window=WindowSpec(length=50, horizon=horizon), numpy_rnn=spec, seed=seed)
    )


def trained(spec: NumpyRNNSpec, validation: np.ndarray | None = VALIDATION) -> tuple[NumpyRNN, list[Epoch]]:
    rnn = network(spec)
    return rnn, list(rnn.fit(SINE, TRAIN, validation))


@pytest.mark.parametrize("seed", range(5))
def test_every_seed_forecasts_the_sine_within_a_hundredth(seed: int) -> None:
    rnn = network(CHOSEN, seed)
    for _ in rnn.fit(SINE, TRAIN, VALIDATION):
        pass
    assert rmse(SINE.values[VALIDATION, None], rnn.predict(SINE, VALIDATION)) <= 0.01


@pytest.mark.parametrize("truncate", [1, 5, 12, 20])
def test_gradients_are_those_of_autograd_with_the_state_before_the_truncation_detached(truncate: int) -> None:
    draw = np.random.default_rng(0)
    weights = Weights(draw.normal(size=(7, 12)), draw.normal(size=(7, 7)), draw.normal(size=7))
    windows, targets = draw.normal(size=(9, 12)), draw.normal(size=9)
    U, W, V = (torch.tensor(weight, requires_grad=True) for weight in weights)  # noqa: N806
    state = torch.zeros(9, 7, dtype=torch.float64)
    for t, x in enumerate(torch.tensor(windows.T)):
        state = state.detach() if t == 12 - truncate else state
        state = torch.sigmoid(torch.outer(x, U[:, t]) + state @ W.T)
    expected = ((state @ V - torch.tensor(targets)) ** 2 / 2).mean()
    backward = torch.autograd.grad(expected, (U, W, V))
    loss, gradients = loss_and_gradients(weights, windows, targets, truncate)
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    for gradient, autograd in zip(gradients, backward, strict=True):
        assert np.linalg.norm(gradient - autograd.numpy()) < 1e-6 * np.linalg.norm(autograd.numpy())


def test_states_by_hand() -> None:
    """sigmoid(ln 3) = 3/4; then sigmoid(4 ln 3 * 3/4 - 2 ln 3) = 3/4 again, and sigmoid(3 ln 3) = 27/28."""
    ln3 = math.log(3)
    weights = Weights(np.array([[ln3, -2 * ln3, 0.0]]), np.array([[4 * ln3]]), np.array([1.0]))
    states = last_states(weights, np.array([[1.0, 1.0, 5.0]]), count=3)
    assert [float(state[0, 0]) for state in states] == pytest.approx([0, 3 / 4, 3 / 4, 27 / 28])


def test_gradients_by_hand() -> None:
    """All pre-activations are 0, so both states are 1/2 with derivative 1/4; the forecast is 1, the target 0."""
    weights = Weights(np.zeros((1, 2)), np.zeros((1, 1)), np.array([2.0]))
    loss, gradients = loss_and_gradients(weights, np.array([[7.0, 3.0]]), np.array([0.0]), truncate=1)
    assert loss == 0.5
    assert gradients.V.tolist() == [0.5]  # error 1 * state 1/2
    assert gradients.U.tolist() == [[0.0, 1.5]]  # error 1 * V 2 * derivative 1/4 * value 3; the first step is cut off
    assert gradients.W.tolist() == [[0.25]]  # error 1 * V 2 * derivative 1/4 * previous state 1/2


def test_the_weights_of_steps_before_the_truncation_stay_as_drawn() -> None:
    drawn = network(SMALL).weights.U
    learned = trained(SMALL)[0].weights.U
    assert (learned[:, :45] == drawn[:, :45]).all()
    assert (learned[:, 45:] != drawn[:, 45:]).all()


def test_the_first_step_changes_no_weight_by_more_than_learning_rate_times_clip() -> None:
    spec = SMALL.model_copy(update={"epochs": 1, "clip": 0.001, "learning_rate": 1.0})
    before, after = network(spec).weights, trained(spec)[0].weights
    changes = [np.abs(new - old).max() for new, old in zip(after, before, strict=True)]
    assert max(changes) == pytest.approx(0.001, rel=1e-3)


def test_the_training_loss_is_the_mean_over_windows_not_over_batches() -> None:
    """A tiny clip keeps the weights as they are, so that batches of 30, 30, 30 and 10 windows see the same weights."""
    fixed = SMALL.model_copy(update={"epochs": 1, "clip": 1e-9, "batch": 30})
    rnn, (epoch,) = trained(fixed)
    windows = sliding_window_view(SINE.values, 50)[TRAIN - 50]
    loss, _ = loss_and_gradients(rnn.weights, windows, SINE.values[TRAIN], 5)
    assert epoch.train_loss[0] == pytest.approx(loss, rel=1e-5)


def test_the_weights_of_the_lowest_validation_loss_stay_even_if_training_is_left_early() -> None:
    rough = SMALL.model_copy(update={"epochs": 30, "learning_rate": 0.5})  # so high that the loss jumps
    rnn, losses = network(rough), list[float]()
    with closing(rnn.fit(SINE, TRAIN, VALIDATION)) as training:  # type: ignore[type-var]  # a generator, so it closes
        for epoch in training:
            assert epoch.val_loss is not None
            losses.append(float(epoch.val_loss[0]))
            if losses[-1] > min(losses):
                break
    assert losses[-1] > min(losses), "the last epoch is the best: the test shows nothing"
    errors = rnn.predict(SINE, VALIDATION)[:, 0] - SINE.values[VALIDATION]
    assert np.mean(errors**2) / 2 == pytest.approx(min(losses), rel=1e-9)


@pytest.mark.parametrize("validation", [None, VALIDATION])
def test_without_a_validation_part_the_last_weights_stay(validation: np.ndarray | None) -> None:
    rnn, last = network(SMALL), dict[str, np.ndarray]()
    for _ in rnn.fit(SINE, TRAIN, validation):
        last = rnn.state()
    assert bool((last["W"] == rnn.weights.W).all()) is (validation is None)  # of the four epochs the third is the best


def test_loaded_weights_forecast_the_same_bits_and_are_a_copy() -> None:
    assert_weights_are_restored(trained(SMALL)[0], network(SMALL, seed=1), SINE, VALIDATION)


def test_a_horizon_of_two_is_refused() -> None:
    with pytest.raises(InputError, match=r"numpy_rnn forecasts 1 step, got 2; set --window.horizon 1"):
        network(SMALL, horizon=2)

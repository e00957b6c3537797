"""The RNN from scratch: NumPy alone, trained by truncated back-propagation through time.

H sigmoid units read a window x of T values, one value a step, and a linear readout forecasts the value after it:

    s_t = sigmoid(U[:, t] x_t + W s_{t-1})  for t = 0 .. T-1, with s_{-1} = 0;    y = V s_{T-1}

Step t reads its value through its own column of U, and there are no biases. The loss is half the squared error,
averaged over the windows. Its gradient is truncated: the error is propagated back through the last `truncate` steps,
and the state before them counts as a constant. So V learns from the last state, and W and the columns of U of these
steps learn from these steps; the other columns of U stay as they were drawn.

Werbos, "Backpropagation through time: what it does and how to do it" (1990); Williams and Peng, "An efficient
gradient-based algorithm for on-line training of recurrent network trajectories" (1990), for the truncation.

Letters: M windows, or B in a batch; T window length; H hidden units.
"""

import json
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from models.data.panel import Panel
from models.data.windows import target_windows
from models.errors import InputError
from models.network import Epoch, State, WindowedNetwork
from models.specs import ModelSpec


class Weights(NamedTuple):
    """The three weights, or their gradients."""

    U: np.ndarray  # [H, T]
    W: np.ndarray  # [H, H]
    V: np.ndarray  # [H]


def draw_weights(hidden: int, length: int, generator: np.random.Generator) -> Weights:
    """Draw the first weights in single precision, normal about 0 and so small that no unit saturates.

    An input of 1 moves a unit by about 0.05 from its middle, where the sigmoid is nearly linear. The eigenvalues of W
    reach about 3, and the derivative of the sigmoid is 1/4, so 3/4 of the movement remains one step later.
    """
    return Weights(
        U=generator.normal(0, 0.2, (hidden, length)).astype(np.float32),
        W=generator.normal(0, 3 / np.sqrt(hidden), (hidden, hidden)).astype(np.float32),
        V=generator.normal(0, 1 / np.sqrt(hidden), hidden).astype(np.float32),
    )


def last_states(weights: Weights, windows: np.ndarray, count: int) -> list[np.ndarray]:
    """Return the states of the last `count` steps of windows [B, T], after the state before them: [B, H] each.

    As sigmoid(z) = (1 + tanh(z / 2)) / 2, it computes h = 2 s - 1, for which a step is one product and one tanh:
    h_t = tanh(W (h_{t-1} + 1) / 4 + U[:, t] x_t / 2).
    """
    units, length = weights.U.shape
    input_weights = np.ascontiguousarray(weights.U.T / 2)  # [T, H]
    step_weights = np.concatenate([weights.W.T / 4, weights.W.sum(axis=1)[None] / 4, input_weights[:1]])  # [H + 2, H]
    inputs = np.ones((len(windows), units + 2), step_weights.dtype)  # [B, H + 2]: h, 1, x_t
    h = inputs[:, :units]  # [B, H], a view
    h[:] = -1
    states = []
    for t in range(length):
        if t >= length - count:
            states.append((h + 1) / 2)
        inputs[:, -1], step_weights[-1] = windows[:, t], input_weights[t]
        np.tanh(inputs @ step_weights, out=h)  # [B, H]
    return [*states, (h + 1) / 2]


def loss_and_gradients(
    weights: Weights, windows: np.ndarray, targets: np.ndarray, truncate: int
) -> tuple[float, Weights]:
    """Return the mean halved squared error of windows [B, T] against targets [B], and its truncated gradients."""
    count, length = windows.shape
    states = last_states(weights, windows, min(truncate, length))
    errors = states[-1] @ weights.V - targets  # [B]
    gradients = Weights(np.zeros_like(weights.U), np.zeros_like(weights.W), errors @ states[-1] / count)
    state_gradient = np.outer(errors / count, weights.V)  # [B, H], with respect to s_t
    for steps_back in range(1, len(states)):
        state, previous, t = states[-steps_back], states[-steps_back - 1], length - steps_back
        preactivation_gradient = state_gradient * state * (1 - state)  # [B, H], with respect to the sigmoid's argument
        gradients.U[:, t] = windows[:, t] @ preactivation_gradient  # [H]
        gradients.W[:] += preactivation_gradient.T @ previous  # [H, H]
        state_gradient = preactivation_gradient @ weights.W  # [B, H], with respect to s_{t-1}
    return float(np.mean(errors**2)) / 2, gradients


class DescentState:
    """What a training needs to go on: weights, their momentum, the best weights and their loss, whether it diverged."""

    def __init__(self, weights: Weights):
        self.weights = weights
        self.velocity = Weights(*map(np.zeros_like, weights))
        self.best = Weights(*map(np.copy, weights))
        self.best_loss, self.diverged = np.array(np.inf), np.array(False)  # [] each

    def keep(self, loss: float | None) -> None:
        """Keep the current weights as the best, with their loss."""
        for best, weight in zip(self.best, self.weights, strict=True):
            best[:] = weight
        self.best_loss[...] = np.inf if loss is None else loss

    def state(self, epoch: int, generator: np.random.Generator) -> State:
        """Return a copy of everything that the training needs to go on after an epoch."""
        generator_state = np.frombuffer(json.dumps(generator.bit_generator.state).encode(), np.uint8)
        arrays = {name: array.copy() for name, array in self._arrays().items()}
        return arrays | {"generator": generator_state, "epoch": np.array(epoch)}

    def resume(self, state: State, generator: np.random.Generator) -> int:
        """Restore a state, the generator's too; returns its epoch."""
        for name, array in self._arrays().items():
            array[...] = state[name]
        generator.bit_generator.state = json.loads(state["generator"].tobytes())
        return int(state["epoch"])

    def _arrays(self) -> State:
        groups = {"weights": self.weights, "velocity": self.velocity, "best": self.best}
        arrays = {
            f"{group}.{name}": array for group, weights in groups.items() for name, array in weights._asdict().items()
        }
        return arrays | {"best_loss": self.best_loss, "diverged": self.diverged}


class NumpyRNN(WindowedNetwork):
    """The RNN from scratch behind the interface that all networks share; it does no scaling of its own.

    **Raises:** `InputError` for a horizon other than 1.
    """

    def __init__(self, spec: ModelSpec):
        self.spec = spec.numpy_rnn
        self.length, self.horizon = spec.window.length, spec.window.horizon
        if self.horizon != 1:
            raise InputError(f"numpy_rnn forecasts 1 step, got {self.horizon}; set --window.horizon 1, or leave it out")
        self.generator = np.random.default_rng(spec.seed)
        self.weights = draw_weights(self.spec.hidden, self.length, self.generator)

    def fit(
        self, panel: Panel, train: np.ndarray, validation: np.ndarray | None, resume: State | None = None
    ) -> Iterator[Epoch]:
        """Train by gradient descent with momentum on the origins `train` [M], in a new random order each epoch.

        Losses are mean halved squared errors: `train_loss` over the batches, each before its step, and `val_loss` at
        the end of the epoch. The weights of the lowest `val_loss` stay, or without a validation part the last ones. If
        a loss or a weight is no longer finite, the training ends, and the weights kept before stay.
        """
        train = train[panel.observed[train]]
        descent = DescentState(self.weights)
        epochs_done = descent.resume(resume, self.generator) if resume else 0
        try:
            for number in range(epochs_done + 1, self.spec.epochs + 1):
                if descent.diverged:
                    break
                order, total = self.generator.permutation(train), 0.0
                with np.errstate(over="ignore", invalid="ignore"):
                    for begin in range(0, len(order), self.spec.batch):
                        batch = order[begin : begin + self.spec.batch]
                        total += len(batch) * self._descend(panel.values, batch, descent.velocity)
                    val_loss = None if validation is None else self._loss(panel, validation)
                descent.diverged[...] = not np.isfinite([total, val_loss or 0.0, *map(np.sum, self.weights)]).all()
                if not descent.diverged and (val_loss is None or val_loss < descent.best_loss):
                    descent.keep(val_loss)
                yield Epoch(
                    number,
                    np.array([total / len(train)]),
                    None if val_loss is None else np.array([val_loss]),
                    np.array([True]),
                    descent.diverged.reshape(1).copy(),
                    partial(descent.state, number, self.generator),
                )
        finally:
            for weight, best in zip(self.weights, descent.best, strict=True):
                weight[:] = best

    def _descend(self, values: np.ndarray, origins: np.ndarray, velocity: Weights) -> float:
        """Take one step on a batch of origins [B]; returns the loss before the step."""
        windows = sliding_window_view(values, self.length)[origins - self.length].astype(np.float32)  # [B, T]
        targets = values[origins].astype(np.float32)  # [B]
        loss, gradients = loss_and_gradients(self.weights, windows, targets, self.spec.truncate)
        for weight, change, gradient in zip(self.weights, velocity, gradients, strict=True):
            change *= self.spec.momentum
            change -= self.spec.learning_rate * gradient.clip(-self.spec.clip, self.spec.clip)
            weight += change
        return loss

    def _loss(self, panel: Panel, origins: np.ndarray) -> float:
        return float(np.mean((self.predict(panel, origins) - target_windows(panel.values, origins, 1)) ** 2)) / 2

    def predict_windows(self, windows: np.ndarray) -> np.ndarray:
        """Return forecasts [M, 1] from windows [M, T]."""
        state = last_states(self.weights, windows, 0)[-1]  # [M, H]
        forecasts: np.ndarray = state @ self.weights.V  # [M]
        return forecasts.astype(np.float64)[:, None]  # [M, 1]

    def state(self) -> dict[str, np.ndarray]:
        """Return a copy of the weights by name: U [H, T], W [H, H], V [H]."""
        return {name: weight.copy() for name, weight in self.weights._asdict().items()}

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Restore weights that `state` returned."""
        self.weights = Weights(**{name: state[name].copy() for name in Weights._fields})

"""The RNN from scratch: NumPy alone, by truncated back-propagation through time.

H sigmoid units read a window x of T values, one a step, and a linear readout answers the value after it:

    s_t = sigmoid(U[:, t] x_t + W s_{t-1})  for t = 0 .. T-1, with s_{-1} = 0;    y = V s_{T-1}

Step t sees its value through its own column of U, and nothing has a bias. The loss is the halved squared error, its
mean over the windows. Its gradient is cut short: the error goes back through the last `truncate` steps, and the state
before them counts as a constant. So V learns from the last state, W from those steps, and so do their columns of U;
the other columns stay as they were drawn.

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
    """First weights in single precision, normal about 0, at which no unit saturates.

    An input of 1 moves a unit by about 0.05 from its middle, where the sigmoid is nearly a line. Through W, whose
    eigenvalues reach to about 3, and the sigmoid's slope of 1/4 that is still 3/4 as much a step later.
    """
    return Weights(
        U=generator.normal(0, 0.2, (hidden, length)).astype(np.float32),
        W=generator.normal(0, 3 / np.sqrt(hidden), (hidden, hidden)).astype(np.float32),
        V=generator.normal(0, 1 / np.sqrt(hidden), hidden).astype(np.float32),
    )


def last_states(weights: Weights, windows: np.ndarray, count: int) -> list[np.ndarray]:
    """The states of the last `count` steps behind the one before them, [B, H] each, from windows [B, T].

    As sigmoid(z) = (1 + tanh(z / 2)) / 2, it runs on h = 2 s - 1, for which a step is one product and one tanh:
    h_t = tanh(W (h_{t-1} + 1) / 4 + U[:, t] x_t / 2).
    """
    units, length = weights.U.shape
    columns = np.ascontiguousarray(weights.U.T / 2)  # [T, H]
    step = np.concatenate([weights.W.T / 4, weights.W.sum(axis=1)[None] / 4, columns[:1]])  # [H + 2, H]
    reads = np.ones((len(windows), units + 2), step.dtype)  # [B, H + 2]: h, 1, x_t
    h = reads[:, :units]  # [B, H], a view
    h[:] = -1
    states = []
    for t in range(length):
        if t >= length - count:
            states.append((h + 1) / 2)
        reads[:, -1], step[-1] = windows[:, t], columns[t]
        np.tanh(reads @ step, out=h)
    return [*states, (h + 1) / 2]


def loss_and_gradients(
    weights: Weights, windows: np.ndarray, targets: np.ndarray, truncate: int
) -> tuple[float, Weights]:
    """Mean halved squared error of windows [B, T] against goals [B], and its truncated gradients."""
    count, length = windows.shape
    states = last_states(weights, windows, min(truncate, length))
    errors = states[-1] @ weights.V - targets  # [B]
    gradients = Weights(np.zeros_like(weights.U), np.zeros_like(weights.W), errors @ states[-1] / count)
    onto_state = np.outer(errors / count, weights.V)  # [B, H], the loss by s_t
    for back in range(1, len(states)):
        state, before, t = states[-back], states[-back - 1], length - back
        onto_sum = onto_state * state * (1 - state)  # [B, H], the loss by what the sigmoid is taken of
        gradients.U[:, t] = windows[:, t] @ onto_sum
        gradients.W[:] += onto_sum.T @ before
        onto_state = onto_sum @ weights.W
    return float(np.mean(errors**2)) / 2, gradients


class DescentState:
    """How far a training has come: weights, their momentum, the best of them with their loss, and whether it broke."""

    def __init__(self, weights: Weights):
        self.weights = weights
        self.velocity = Weights(*map(np.zeros_like, weights))
        self.best = Weights(*map(np.copy, weights))
        self.best_loss, self.diverged = np.array(np.inf), np.array(False)  # [] each

    def keep(self, loss: float | None) -> None:
        """The weights as they are now are the best."""
        for best, weight in zip(self.best, self.weights, strict=True):
            best[:] = weight
        self.best_loss[...] = np.inf if loss is None else loss

    def state(self, epoch: int, generator: np.random.Generator) -> State:
        """A copy of it all, to go on from behind an epoch."""
        order = np.frombuffer(json.dumps(generator.bit_generator.state).encode(), np.uint8)
        parts = {name: part.copy() for name, part in self._parts().items()}
        return parts | {"order": order, "epoch": np.array(epoch)}

    def resume(self, state: State, generator: np.random.Generator) -> int:
        """Put everything as a state has it; the state's epoch."""
        for name, part in self._parts().items():
            part[...] = state[name]
        generator.bit_generator.state = json.loads(state["order"].tobytes())
        return int(state["epoch"])

    def _parts(self) -> State:
        groups = {"weights": self.weights, "velocity": self.velocity, "best": self.best}
        parts = {f"{group}.{name}": part for group, own in groups.items() for name, part in own._asdict().items()}
        return parts | {"best_loss": self.best_loss, "diverged": self.diverged}


class NumpyRNN(WindowedNetwork):
    """The RNN from scratch behind the interface that all networks share. It works in the scale that it is given.

    **Raises:** `InputError` for a horizon other than 1.
    """

    def __init__(self, spec: ModelSpec):
        self.spec = spec.numpy_rnn
        self.length, self.horizon = spec.window.length, spec.window.horizon
        if self.horizon != 1:
            raise InputError(f"numpy_rnn answers 1 step, got {self.horizon}; set --window.horizon 1, or leave it out")
        self.generator = np.random.default_rng(spec.seed)
        self.weights = draw_weights(self.spec.hidden, self.length, self.generator)

    def fit(
        self, panel: Panel, train: np.ndarray, validation: np.ndarray | None, resume: State | None = None
    ) -> Iterator[Epoch]:
        """Gradient descent with momentum on the origins `train` [M], in batches of a new random order every epoch.

        Losses are mean halved squared errors: `train_loss` as the batches met them on the way (with a single batch,
        at the start of the epoch), `val_loss` at the end of the epoch. The weights of the lowest `val_loss` stay, or
        the last ones where there is no validation part; where a loss or weight is no longer finite, those before.
        """
        train = train[panel.observed[train]]
        progress = DescentState(self.weights)
        done = progress.resume(resume, self.generator) if resume else 0
        try:
            for number in range(done + 1, self.spec.epochs + 1):
                if progress.diverged:
                    break
                order, total = self.generator.permutation(train), 0.0
                with np.errstate(over="ignore", invalid="ignore"):
                    for begin in range(0, len(order), self.spec.batch):
                        batch = order[begin : begin + self.spec.batch]
                        total += len(batch) * self._descend(panel.values, batch, progress.velocity)
                    val_loss = None if validation is None else self._loss(panel, validation)
                progress.diverged[...] = not np.isfinite([total, val_loss or 0.0, *map(np.sum, self.weights)]).all()
                if not progress.diverged and (val_loss is None or val_loss < progress.best_loss):
                    progress.keep(val_loss)
                yield Epoch(
                    number,
                    np.array([total / len(train)]),
                    None if val_loss is None else np.array([val_loss]),
                    np.array([True]),
                    progress.diverged.reshape(1).copy(),
                    partial(progress.state, number, self.generator),
                )
        finally:
            for weight, best in zip(self.weights, progress.best, strict=True):
                weight[:] = best

    def _descend(self, values: np.ndarray, origins: np.ndarray, velocity: Weights) -> float:
        """One step on a batch of origins [B]: its loss before the step."""
        windows = sliding_window_view(values, self.length)[origins - self.length].astype(np.float32)  # [B, T]
        targets = values[origins].astype(np.float32)  # [B]
        loss, gradients = loss_and_gradients(self.weights, windows, targets, self.spec.truncate)
        for weight, speed, gradient in zip(self.weights, velocity, gradients, strict=True):
            speed *= self.spec.momentum
            speed -= self.spec.learning_rate * gradient.clip(-self.spec.clip, self.spec.clip)
            weight += speed
        return loss

    def _loss(self, panel: Panel, origins: np.ndarray) -> float:
        return float(np.mean((self.predict(panel, origins) - target_windows(panel.values, origins, 1)) ** 2)) / 2

    def predict_windows(self, windows: np.ndarray) -> np.ndarray:
        """Forecasts [M, 1] from windows [M, T]."""
        state = last_states(self.weights, windows, 0)[-1]  # [M, H]
        answers: np.ndarray = state @ self.weights.V  # [M]
        return answers.astype(np.float64)[:, None]  # [M, 1]

    def state(self) -> dict[str, np.ndarray]:
        """A copy of the weights by name: U [H, T], W [H, H], V [H]."""
        return {name: weight.copy() for name, weight in self.weights._asdict().items()}

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Put the weights in place that `state` gave."""
        self.weights = Weights(**{name: state[name].copy() for name in Weights._fields})

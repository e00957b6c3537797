"""The Elman network: context units that read the current value together with their own previous state.

    c_t = tanh([x_t, c_{t-1}] W1), with c_{-1} = 0;    y_t = c_t W2

y_t forecasts x_{t+1}, and there are no biases. It learns online: each point is followed by one step of gradient descent
on half its squared error. The step treats the context c_{t-1} as an input like any other, so no error is propagated
back in time.

Elman, "Finding structure in time" (1990).

Letters: M origins, P points, N series, H context units.
"""

from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import numpy as np

from models.data.panel import Panel
from models.errors import InputError
from models.network import PLAIN, Epoch, State
from models.specs import ModelSpec


def error_and_gradients(
    into: np.ndarray, out: np.ndarray, inputs: np.ndarray, target: float
) -> tuple[np.ndarray, float, np.ndarray, np.ndarray]:
    """Return, for one point, the new context [H], the error, and the gradients of half its square for both weights.

    **Arguments:** the weights `into`, W1 [1 + H, H], and `out`, W2 [H]; `inputs` [1 + H], the value and the previous
    context.
    """
    context = np.tanh(inputs @ into)  # [H]
    error = float(context @ out) - target
    preactivation_gradient = error * out * (1 - context * context)  # [H], with respect to the argument of tanh
    return context, error, inputs[:, None] * preactivation_gradient, error * context  # [H], (), [1 + H, H], [H]


def refuse_several_series(panel: Panel) -> None:
    """**Raises:** `InputError` if the panel holds more than the one series that an Elman network learns."""
    if len(panel.ids) > 1:
        raise InputError(f"elman learns one series, got {len(panel.ids)}; give it one, or choose rnn, gru or lstm")


class Elman:
    """A network that runs through a series from its start: its context holds the past, so it needs no window.

    It forecasts one step, and further steps from its own forecasts.

    **Raises:** `InputError` for a horizon other than 1.
    """

    dtype: type[np.floating] = np.float64
    layout = PLAIN

    def __init__(self, spec: ModelSpec):
        self.spec = spec.elman
        if spec.window.horizon != 1:
            raise InputError(
                f"elman forecasts 1 step, got {spec.window.horizon}; set --window.horizon 1, or leave it out"
            )
        generator = np.random.default_rng(spec.seed)
        hidden = self.spec.hidden
        self.into = generator.normal(0, self.spec.input_deviation, (1 + hidden, hidden))
        self.out = generator.normal(0, self.spec.output_deviation, hidden)

    def fit(
        self, panel: Panel, train: np.ndarray, validation: np.ndarray | None, resume: State | None = None
    ) -> Iterator[Epoch]:
        """Run through the series once an epoch, and learn at the origins `train` [M].

        The context starts each epoch at zero; other points only pass through it. `train_loss` is the sum of the halved
        squared errors of the epoch, each before its step; `val_loss` is their mean over the validation origins, by the
        weights at the end of the epoch. The last weights stay, not the best. If the errors grow without bound, the
        training ends with the weights before that epoch.

        **Raises:** `InputError` for several series.
        """
        refuse_several_series(panel)
        learns = np.zeros(len(panel.values), bool)  # [P]
        learns[train] = panel.observed[train]
        last = int(train.max())
        past, targets = panel.values[:last].tolist(), panel.values[1 : last + 1].tolist()
        points = list(zip(past, targets, learns[1 : last + 1].tolist(), strict=True))
        epochs_done = 0
        if resume:
            self.load(resume)
            epochs_done = self.spec.epochs if resume["diverged"] else int(resume["epoch"])
        for number in range(epochs_done + 1, self.spec.epochs + 1):
            before, loss, val_loss = self.state(), np.array([self._train_epoch(points)]), None
            if validation is not None:
                with np.errstate(over="ignore", invalid="ignore"):
                    errors = self.predict(panel, validation)[:, 0] - panel.values[validation]  # [M]
                    val_loss = np.array([np.mean(errors**2) / 2])
            diverged = ~np.isfinite(loss if val_loss is None else loss + val_loss)
            if diverged:
                self.load(before)
            state = partial(self._training_state, number, diverged.copy())
            yield Epoch(number, loss, val_loss, np.array([True]), diverged, state)
            if diverged:
                break

    def _training_state(self, number: int, diverged: np.ndarray) -> State:
        return self.state() | {"epoch": np.array(number), "diverged": diverged}

    @np.errstate(over="ignore", invalid="ignore")
    def _train_epoch(self, points: list[tuple[float, float, bool]]) -> float:
        """Run through the (value, next value, whether to learn it); returns the sum of the halved squared errors."""
        inputs, total = np.zeros(1 + self.spec.hidden), 0.0  # [1 + H]
        for value, target, learn in points:
            inputs[0] = value
            context, error, into_gradient, out_gradient = error_and_gradients(self.into, self.out, inputs, target)
            if learn:
                total += error * error / 2
                self.into -= self.spec.learning_rate * into_gradient
                self.out -= self.spec.learning_rate * out_gradient
            inputs[1:] = context
        return total

    def predict(self, panel: Panel, origins: np.ndarray) -> np.ndarray:
        """Return forecasts [M, 1] of the value at each origin, from all values of its series before it."""
        return self.extend(panel, 1, origins)

    def extend(self, panel: Panel, steps: int, origins: np.ndarray | None = None) -> np.ndarray:
        """Return forecasts [M, steps] from each origin on, by default from the ends of the N series.

        Every step after the first comes from its own forecasts.
        """
        origins = panel.ends if origins is None else origins
        forecasts = np.empty((len(origins), steps))
        series = panel.series_of(origins - 1)  # [M]
        for n in np.unique(series):
            rows, start = series == n, panel.starts[n]
            inputs = self._inputs(panel.values[start : origins[rows].max()])  # [values, 1 + H]
            inputs = inputs[origins[rows] - start - 1]  # [m, 1 + H], at the last value before each origin
            for step in range(steps):
                inputs[:, 1:] = np.tanh(inputs @ self.into)
                inputs[:, 0] = forecasts[rows, step] = inputs[:, 1:] @ self.out  # [m]
        return forecasts

    def _inputs(self, values: np.ndarray) -> np.ndarray:
        """Return the inputs at each value of a series, [values, 1 + H]: the value and the context before it."""
        inputs = np.zeros((len(values) + 1, 1 + self.spec.hidden))
        inputs[:-1, 0] = values
        for current, following in pairwise(inputs):
            following[1:] = np.tanh(current @ self.into)
        return inputs[:-1]

    def state(self) -> dict[str, np.ndarray]:
        """Return a copy of the weights by name: `into`, W1 [1 + H, H], and `out`, W2 [H]."""
        return {"into": self.into.copy(), "out": self.out.copy()}

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Restore weights that `state` returned."""
        self.into, self.out = state["into"].copy(), state["out"].copy()

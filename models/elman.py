"""The Elman network: context neurons that read the next value together with what they were one step before.

    c_t = tanh([x_t, c_{t-1}] W1), with c_{-1} = 0;    y_t = c_t W2

y_t forecasts x_{t+1}, and nothing has a bias. It learns online: after every point comes one step of gradient descent
on half the squared error of that point, for which the context c_{t-1} is an input like any other, so that no error
goes back in time.

Elman, "Finding structure in time" (1990).

Letters: M origins, P points, N series, H context neurons.
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
    into: np.ndarray, out: np.ndarray, read: np.ndarray, target: float
) -> tuple[np.ndarray, float, np.ndarray, np.ndarray]:
    """One point: the new context [H], the answer's error, and the gradients of half its square by both weights.

    **Arguments:** the weights `into`, W1 [1 + H, H], and `out`, W2 [H]; `read` [1 + H], the value and the last context.
    """
    context = np.tanh(read @ into)  # [H]
    error = float(context @ out) - target
    onto_sum = error * out * (1 - context * context)  # [H], the loss by what the tanh is taken of
    return context, error, read[:, None] * onto_sum, error * context  # [H], (), [1 + H, H], [H]


def refuse_several_series(panel: Panel) -> None:
    """**Raises:** `InputError` where the panel holds more than the one series that an Elman network learns."""
    if len(panel.ids) > 1:
        raise InputError(f"elman learns one series, got {len(panel.ids)}; give it one, or choose rnn, gru or lstm")


class Elman:
    """A network that goes through a series from its start, and so reads no window: its context holds the past.

    It answers one step; further ones come from its own forecasts.

    **Raises:** `InputError` for a horizon other than 1.
    """

    dtype: type[np.floating] = np.float64
    layout = PLAIN

    def __init__(self, spec: ModelSpec):
        self.spec = spec.elman
        if spec.window.horizon != 1:
            raise InputError(
                f"elman answers 1 step, got {spec.window.horizon}; set --window.horizon 1, or leave it out"
            )
        generator = np.random.default_rng(spec.seed)
        hidden = self.spec.hidden
        self.into = generator.normal(0, self.spec.input_deviation, (1 + hidden, hidden))
        self.out = generator.normal(0, self.spec.output_deviation, hidden)

    def fit(
        self, panel: Panel, train: np.ndarray, validation: np.ndarray | None, resume: State | None = None
    ) -> Iterator[Epoch]:
        """Go through the series once an epoch, and learn at the origins `train` [M]: from the value before each.

        The context starts an epoch at zero; points that are no origin only pass through it. `train_loss` is the sum
        of the halved squared errors that the epoch met, each before its step; `val_loss` is their mean over the
        validation origins, by the weights at the end of the epoch. The last weights stay, not the best; where the
        errors grow without bound, those before that epoch.

        **Raises:** `InputError` for several series.
        """
        refuse_several_series(panel)
        learns = np.zeros(len(panel.values), bool)  # [P]
        learns[train] = panel.observed[train]
        last = int(train.max())
        past, targets = panel.values[:last].tolist(), panel.values[1 : last + 1].tolist()
        points = list(zip(past, targets, learns[1 : last + 1].tolist(), strict=True))
        done = 0
        if resume:
            self.load(resume)
            done = self.spec.epochs if resume["diverged"] else int(resume["epoch"])
        for number in range(done + 1, self.spec.epochs + 1):
            before, loss, val_loss = self.state(), np.array([self._learn(points)]), None
            if validation is not None:
                with np.errstate(over="ignore", invalid="ignore"):
                    errors = self.predict(panel, validation)[:, 0] - panel.values[validation]  # [M]
                    val_loss = np.array([np.mean(errors**2) / 2])
            diverged = ~np.isfinite(loss if val_loss is None else loss + val_loss)
            if diverged:
                self.load(before)
            marks = {"epoch": np.array(number), "diverged": diverged.copy()}
            yield Epoch(number, loss, val_loss, np.array([True]), diverged, partial(self._marked, marks))
            if diverged:
                break

    def _marked(self, marks: State) -> State:
        return self.state() | marks

    @np.errstate(over="ignore", invalid="ignore")
    def _learn(self, points: list[tuple[float, float, bool]]) -> float:
        """One pass over the (value, next value, whether to learn it): the sum of the halved squared errors."""
        read, total = np.zeros(1 + self.spec.hidden), 0.0  # [1 + H]
        for value, target, learn in points:
            read[0] = value
            context, error, by_into, by_out = error_and_gradients(self.into, self.out, read, target)
            if learn:
                total += error * error / 2
                self.into -= self.spec.learning_rate * by_into
                self.out -= self.spec.learning_rate * by_out
            read[1:] = context
        return total

    def predict(self, panel: Panel, origins: np.ndarray) -> np.ndarray:
        """Forecasts [M, 1] of the value at each origin, from all true values of its series before it."""
        return self.extend(panel, 1, origins)

    def extend(self, panel: Panel, steps: int, origins: np.ndarray | None = None) -> np.ndarray:
        """Forecasts [M, steps] from each origin (or end) on; after the first step, from its own forecasts."""
        origins = panel.ends if origins is None else origins
        answers = np.empty((len(origins), steps))
        owners = panel.series_of(origins - 1)  # [M]
        for n in np.unique(owners):
            mine, start = owners == n, panel.starts[n]
            reads = self._contexts(panel.values[start : origins[mine].max()])  # [points, 1 + H]
            read = reads[origins[mine] - start - 1]  # [m, 1 + H]
            for step in range(steps):
                read[:, 1:] = np.tanh(read @ self.into)
                read[:, 0] = answers[mine, step] = read[:, 1:] @ self.out  # [m]
        return answers

    def _contexts(self, values: np.ndarray) -> np.ndarray:
        """What is read at each of the values [points]: the value and the context before it, [points, 1 + H]."""
        reads = np.zeros((len(values) + 1, 1 + self.spec.hidden))
        reads[:-1, 0] = values
        for read, after in pairwise(reads):
            after[1:] = np.tanh(read @ self.into)
        return reads[:-1]

    def state(self) -> dict[str, np.ndarray]:
        """A copy of the weights by name: `into`, W1 [1 + H, H], and `out`, W2 [H]."""
        return {"into": self.into.copy(), "out": self.out.copy()}

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Put the weights in place that `state` gave."""
        self.into, self.out = state["into"].copy(), state["out"].copy()

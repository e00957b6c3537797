"""A training that is resumed ends with the same bits, for every kind of network; and divergence ends a member."""

from pathlib import Path

import numpy as np
import pytest

from models.checkpoints import read_checkpoint, write_checkpoint
from models.data.panel import one_series
from models.forecaster import build_network, layout_of
from models.network import Epoch, State, TrainedNetwork
from models.specs import ElmanSpec, FitSpec, ModelSpec, NumpyRNNSpec, RecurrentSpec, WindowSpec

PANEL = one_series("wave", np.sin(np.arange(90) / 3) + np.random.default_rng(0).normal(0, 0.1, 90))
TRAIN, VALIDATION = np.arange(8, 60), np.arange(60, 80)
KINDS = ("rnn", "gru", "lstm", "elman", "numpy_rnn")


def network(model: str, **rates: float) -> TrainedNetwork:
    spec = ModelSpec(
        model=model,
        window=WindowSpec(length=8),
        recurrent=RecurrentSpec(hidden=6),
        fit=FitSpec(epochs=8, members=3, batch=16, patience=3, **rates),
        elman=ElmanSpec(epochs=8, **rates),
        numpy_rnn=NumpyRNNSpec(epochs=8, batch=16, **rates),
    )
    return build_network(spec)


def bits(network: TrainedNetwork) -> dict[str, bytes]:
    return {name: weight.tobytes() for name, weight in network.state().items()}


def content(epoch: Epoch) -> tuple[int, bytes, bytes | None]:
    return epoch.number, epoch.train_loss.tobytes(), None if epoch.val_loss is None else epoch.val_loss.tobytes()


@pytest.mark.parametrize("validation", [VALIDATION, None], ids=["with validation", "without"])
@pytest.mark.parametrize("model", KINDS)
def test_a_training_resumed_from_any_epoch_ends_with_the_same_bits(
    model: str, validation: np.ndarray | None, tmp_path: Path
) -> None:
    whole, states, epochs = network(model), list[State](), list[tuple[int, bytes, bytes | None]]()
    for epoch in whole.fit(PANEL, TRAIN, validation):
        states.append(epoch.state())
        epochs.append(content(epoch))
    for number, state in enumerate(states, 1):
        write_checkpoint(tmp_path / "checkpoint", state, "a key")
        again = network(model)
        rest = list(again.fit(PANEL, TRAIN, validation, read_checkpoint(tmp_path / "checkpoint", "a key")))
        assert [content(epoch) for epoch in rest] == epochs[number:]
        assert bits(again) == bits(whole), f"from epoch {number}"


def test_the_state_of_an_epoch_does_not_change_in_later_epochs() -> None:
    training = network("gru").fit(PANEL, TRAIN, VALIDATION)
    state = next(training).state()
    before = {name: part.copy() for name, part in state.items()}
    for _ in training:
        pass
    assert all(np.array_equal(state[name], part) for name, part in before.items())


@pytest.mark.parametrize("model", KINDS)
def test_a_training_that_diverges_ends_with_finite_weights_and_stays_ended(model: str) -> None:
    diverging = network(model, learning_rate=10)
    values = PANEL.values * (1e3 if model == "elman" else 1e25)  # float32 ends at 3e38
    panel = one_series("large", values)
    epochs = []
    for epoch in diverging.fit(panel, TRAIN, VALIDATION):
        epochs.append(epoch)
        state = epoch.state()
    assert epochs[-1].diverged.all()
    assert not any(epoch.diverged.any() for epoch in epochs[:-1])
    assert all(np.isfinite(weight).all() for weight in diverging.state().values())
    again = network(model, learning_rate=10)
    assert list(again.fit(panel, TRAIN, VALIDATION, state)) == []
    assert bits(again) == bits(diverging)


def test_a_member_that_diverges_leaves_the_others_as_they_are_alone() -> None:
    scale = {"x": 1.0, "y": 1e25}  # float32 ends at 3e38, and its square long before
    values = np.concatenate([PANEL.values * size for size in scale.values()])
    offsets = np.array([0, 90, 180])
    both = type(PANEL)(tuple(scale), values, np.ones(180, bool), offsets, (np.int64(0),) * 2, 1)
    fit = FitSpec(epochs=4, batch=16, scope="local", patience=None)
    spec = ModelSpec(model="gru", window=WindowSpec(length=8, scale="none"), recurrent=RecurrentSpec(hidden=6), fit=fit)
    together = build_network(spec, "cpu", layout_of(spec, both))
    epochs = list(together.fit(both, np.concatenate([TRAIN, TRAIN + 90]), None))
    assert [epoch.diverged.tolist() for epoch in epochs] == [[False, True], *[[False, False]] * 3]
    one = one_series("x", PANEL.values)
    alone = build_network(spec, "cpu", layout_of(spec, one))
    list(alone.fit(one, TRAIN, None))
    for name, weight in alone.state().items():
        assert weight[0].tobytes() == together.state()[name][0].tobytes()

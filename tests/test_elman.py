"""The Elman network: its gradients, its online procedure, and how well it learns a sine."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch

from models.data.panel import Panel, one_series
from models.data.steps import ONE
from models.elman import Elman, error_and_gradients
from models.errors import InputError
from models.metrics import rmse
from models.network import Epoch
from models.specs import ElmanSpec, ModelSpec, WindowSpec
from tests.support.networks import assert_weights_are_restored

SINE = one_series("sine", np.sin(np.linspace(2, 10, 21)))
PAIRS = np.arange(1, 21)


def network(seed: int = 0, horizon: int = 1, **options: Any) -> Elman:
    spec = ElmanSpec.model_validate(options)
    return Elman(ModelSpec(model="elman", window=WindowSpec(length=1, horizon=horizon), elman=spec, seed=seed))


def trained(seed: int = 0, train: np.ndarray = PAIRS, **options: Any) -> tuple[Elman, list[Epoch]]:
    elman = network(seed, **options)
    return elman, list(elman.fit(SINE, train, None))


def two_series(first: Iterable[float], second: Iterable[float]) -> Panel:
    one, two = np.array([*first]), np.array([*second])
    values, offsets = np.concatenate([one, two]), np.array([0, len(one), len(one) + len(two)])
    return Panel(("one", "two"), values, np.ones(len(values), bool), offsets, (np.int64(0),) * 2, ONE)


def test_the_median_of_ten_seeds_follows_the_sine_within_0_12() -> None:
    scores = [rmse(SINE.values[1:, None], trained(seed)[0].predict(SINE, PAIRS)) for seed in range(10)]
    assert np.median(scores) <= 0.12


def test_one_context_unit_by_hand() -> None:
    """A context of 1/2 with weight 0: the new context is tanh(0) = 0, the forecast 0, and the error -1."""
    into, out, inputs = np.array([[3.0], [0.0]]), np.array([2.0]), np.array([0.0, 0.5])
    context, error, into_gradient, out_gradient = error_and_gradients(into, out, inputs, target=1.0)
    assert (context.tolist(), error) == ([0.0], -1.0)
    assert into_gradient.tolist() == [[0.0], [-1.0]]  # error -1 * out 2 * derivative of tanh 1 * inputs 0 and 1/2
    assert out_gradient.tolist() == [0.0]  # error * context


def test_training_is_gradient_descent_by_autograd_with_the_context_detached() -> None:
    elman = network(seed=3, epochs=3)
    into, out = (torch.tensor(weight, requires_grad=True) for weight in (elman.into, elman.out))
    losses = [epoch.train_loss[0] for epoch in elman.fit(SINE, PAIRS, None)]
    for loss in losses:
        context, total = torch.zeros(6, dtype=torch.float64), 0.0
        for value, target in zip(SINE.values[:-1], SINE.values[1:], strict=True):
            context = torch.tanh(torch.cat([torch.tensor([value]), context.detach()]) @ into)
            half_square = (context @ out - target) ** 2 / 2
            total += half_square.item()
            for weight, gradient in zip((into, out), torch.autograd.grad(half_square, (into, out)), strict=True):
                weight.data -= 0.1 * gradient
        assert loss == pytest.approx(total, rel=1e-10)
    np.testing.assert_allclose(elman.into, into.detach(), rtol=1e-10)
    np.testing.assert_allclose(elman.out, out.detach(), rtol=1e-10)


def test_a_point_that_is_no_origin_passes_through_the_context_without_training() -> None:
    before, (after, epochs) = network(), trained(train=np.array([2]), epochs=1)
    context = np.tanh(SINE.values[0] * before.into[0])
    inputs = np.array([SINE.values[1], *context])
    _, error, into_gradient, out_gradient = error_and_gradients(before.into, before.out, inputs, SINE.values[2])
    np.testing.assert_allclose(after.into, before.into - 0.1 * into_gradient, rtol=1e-12)
    np.testing.assert_allclose(after.out, before.out - 0.1 * out_gradient, rtol=1e-12)
    assert epochs[0].train_loss[0] == pytest.approx(error**2 / 2)


def test_the_validation_loss_is_the_mean_halved_squared_error_of_the_epochs_weights() -> None:
    elman, validation = network(epochs=5), np.arange(15, 21)
    (*_, last) = elman.fit(SINE, np.arange(1, 15), validation)
    errors = elman.predict(SINE, validation)[:, 0] - SINE.values[validation]
    assert last.val_loss is not None
    assert last.val_loss[0] == pytest.approx(np.mean(errors**2) / 2, rel=1e-12)


def test_a_forecast_sees_the_values_before_its_origin_and_no_others() -> None:
    elman, _ = trained(epochs=20)
    for point, changes in ((9, True), (10, False)):
        values = SINE.values.copy()
        values[point] += 1
        same = elman.predict(one_series("sine", values), np.array([10])) == elman.predict(SINE, np.array([10]))
        assert bool(same.all()) is not changes


def test_each_series_of_a_panel_is_forecast_as_if_alone() -> None:
    elman, _ = trained(epochs=20)
    panel = two_series([0.1, 0.9, 0.4], [0.5, -0.5, 0.3, 0.8])
    alone = [one_series("one", panel.values[:3]), one_series("two", panel.values[3:])]
    together = elman.predict(panel, np.array([6, 2, 1]))
    expected = [*elman.predict(alone[1], np.array([3])), *elman.predict(alone[0], np.array([2, 1]))]
    assert together.tolist() == np.array(expected).tolist()
    assert elman.extend(panel, 4).tolist() == np.concatenate([elman.extend(one, 4) for one in alone]).tolist()


def test_further_steps_come_from_its_own_forecasts() -> None:
    elman, _ = trained(epochs=20)
    path = elman.extend(SINE, 3)[0]
    longer = one_series("sine", np.append(SINE.values, path[:2]))
    assert elman.predict(longer, np.array([21, 22]))[:, 0] == pytest.approx(path[:2], rel=1e-12)
    assert elman.extend(longer, 1)[0, 0] == path[2]
    assert elman.extend(SINE, 3, np.array([10, 21]))[1] == pytest.approx(path, rel=1e-12)


def test_loaded_weights_forecast_the_same_bits_and_are_a_copy() -> None:
    assert_weights_are_restored(trained(epochs=20)[0], network(seed=1), SINE, PAIRS)


def test_a_horizon_of_two_is_refused() -> None:
    with pytest.raises(InputError, match=r"elman forecasts 1 step, got 2; set --window.horizon 1"):
        network(horizon=2)


def test_several_series_are_refused() -> None:
    with pytest.raises(InputError, match="elman learns one series, got 2"):
        next(network().fit(two_series([1, 2, 3], [4, 5, 6]), np.array([1, 2]), None))


def test_a_training_that_diverges_ends_with_the_last_good_weights() -> None:
    elman, epochs = trained(learning_rate=10)
    assert [epoch.diverged.item() for epoch in epochs] == [False] * (len(epochs) - 1) + [True]
    before = network(learning_rate=10, epochs=len(epochs) - 1) if len(epochs) > 1 else network(learning_rate=10)
    if len(epochs) > 1:
        list(before.fit(SINE, PAIRS, None))
    assert all(np.isfinite(weight).all() for weight in elman.state().values())
    assert elman.predict(SINE, PAIRS).tolist() == before.predict(SINE, PAIRS).tolist()

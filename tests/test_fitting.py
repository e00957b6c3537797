"""The training of populations: reproducible, member by member, and by Adam as it is published."""

import numpy as np
import pytest
import torch

from models.backends import PYTORCH, Backend, choose_backend
from models.network import Epoch
from models.population.adam import Adam, learning_rates
from models.population.batches import Batches
from models.population.fitting import fit
from models.population.network import Population, Sizes
from models.population.tensors import tensors_of_values
from models.specs import FitSpec, RecurrentSpec

LENGTH = 8
VALUES = torch.sin(torch.arange(200) * 0.3)
POINTS = tensors_of_values(VALUES)
TRAIN, VALIDATION = np.arange(LENGTH, 150), np.arange(150, 200)
SPEC = FitSpec(epochs=4, batch=32, learning_rate=0.01)


def train(
    seeds: list[int], spec: FitSpec = SPEC, cell: str = "gru", backend: Backend | None = None, **options: object
) -> tuple[Population, list[Epoch]]:
    population = Population(cell, RecurrentSpec(hidden=6), Sizes(LENGTH), seeds)
    steps = (backend or choose_backend(population)).steps(population, POINTS, spec)
    arguments = {"train": [TRAIN], "validation": [VALIDATION]} | options
    return population, list(fit(population, steps, spec=spec, seeds=seeds, **arguments))


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_the_same_seed_gives_the_same_bits(cell: str) -> None:
    first, second = train([3], cell=cell)[0], train([3], cell=cell)[0]
    assert torch.equal(first.flat, second.flat)
    assert not torch.equal(first.flat, train([4], cell=cell)[0].flat)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_members_alone_or_together_come_to_the_same(cell: str) -> None:
    spec = FitSpec(epochs=50, batch=32, learning_rate=0.02)  # so long that a difference in rounding would have grown
    together, epochs = train([0, 1, 2, 3, 4], spec, cell)
    for member in (0, 4):
        alone, epochs_alone = train([member], spec, cell)
        torch.testing.assert_close(together.flat[member], alone.flat[0], rtol=0, atol=1e-6)
        np.testing.assert_allclose(epochs[-1].val_loss[member], epochs_alone[-1].val_loss[0], rtol=1e-6)


def test_training_on_a_sine_takes_the_loss_down_a_hundredfold() -> None:
    _, epochs = train([0], FitSpec(epochs=60, batch=16, learning_rate=0.02))
    assert epochs[-1].val_loss[0] < epochs[0].val_loss[0] / 100


def test_the_best_epochs_weights_are_kept_for_each_member() -> None:
    spec = FitSpec(epochs=12, batch=16, learning_rate=0.3, schedule="constant")  # so high that the loss jumps
    population, epochs = train([0, 1, 2], spec)
    losses_by_epoch = np.array([epoch.val_loss for epoch in epochs])  # [epochs, K]
    best = losses_by_epoch.argmin(axis=0)
    assert (best < len(epochs) - 1).any(), "the last epoch is the best of every member: the test shows nothing"
    forecast = population.predict(POINTS, torch.from_numpy(VALIDATION)[None])[..., 0]  # [K, M]
    losses = (forecast - VALUES[VALIDATION]).square().mean(dim=1)
    np.testing.assert_allclose(losses, losses_by_epoch.min(axis=0), rtol=1e-4)


def test_each_member_stops_by_its_own_patience() -> None:
    spec = FitSpec(epochs=60, batch=16, learning_rate=0.3, schedule="constant", patience=2)
    _, epochs = train([0, 1, 2, 3], spec)
    for member in range(4):
        losses, running = [e.val_loss[member] for e in epochs], [bool(e.running[member]) for e in epochs]
        stopped = running.index(False) if False in running else len(epochs)
        assert stopped - 1 - int(np.argmin(losses[:stopped])) == 2  # two epochs without a better one, no more
        assert len(set(losses[stopped:])) <= 1  # and its weights stand still from then on
    assert len({sum(bool(e.running[m]) for e in epochs) for m in range(4)}) > 1, "all stopped together"


def test_members_may_have_unequal_numbers_of_windows() -> None:
    few, many = np.arange(20, 60), np.arange(LENGTH, 150)
    population, _ = train([5, 6], train=[few, many], validation=None)
    for member, origins in enumerate([few, many]):
        alone, _ = train([5 + member], train=[origins], validation=None)
        torch.testing.assert_close(population.flat[member], alone.flat[0], rtol=0, atol=1e-6)


def test_every_origin_comes_once_an_epoch_and_in_an_order_of_its_seed() -> None:
    batches = Batches([np.arange(10, 33)], 2, 5, None, [0, 1], torch.device("cpu"))
    drawn = list(zip(batches.epoch(), batches.counts, strict=True))
    rows = [torch.cat([origins[k][: counts[k]] for origins, counts in drawn]).tolist() for k in (0, 1)]
    assert [sorted(row) for row in rows] == [list(range(10, 33))] * 2
    assert rows[0] != rows[1] != list(range(10, 33))


def test_as_many_windows_are_drawn_anew_each_epoch_as_are_asked_for() -> None:
    batches = Batches([np.arange(10, 33)], 2, 5, 12, [0, 1], torch.device("cpu"))
    epochs = []
    for _ in range(40):
        drawn = list(zip(batches.epoch(), batches.counts, strict=True))
        assert [counts.tolist() for _, counts in drawn] == [[5, 5], [5, 5], [2, 2]]
        epochs.append(torch.cat([origins[0][: counts[0]] for origins, counts in drawn]).tolist())
    assert {len(set(epoch)) for epoch in epochs} == {12}
    assert set().union(*epochs) == set(range(10, 33))
    assert epochs[0] != epochs[1]


def test_where_fewer_windows_are_there_than_asked_for_all_are_drawn() -> None:
    batches = Batches([np.arange(3), np.arange(20)], 2, 4, 10, [0, 1], torch.device("cpu"))
    assert batches.counts.tolist() == [[3, 4], [0, 4], [0, 2]]
    drawn = torch.cat(list(batches.epoch()), dim=1)
    assert sorted(drawn[0, :3].tolist()) == [0, 1, 2]
    assert len(set(drawn[1, :10].tolist())) == 10


def test_an_epoch_of_so_many_windows_is_of_as_many_steps() -> None:
    few, many = train([0], FitSpec(epochs=1, batch=16, windows=32))[0], train([0], FitSpec(epochs=1, batch=16))[0]
    start = Population("gru", RecurrentSpec(hidden=6), Sizes(LENGTH), [0]).flat
    assert 0 < (few.flat - start).norm() < (many.flat - start).norm() / 2  # 2 steps of Adam against 9


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_adam_moves_as_torch_optim_adamw_does(weight_decay: float) -> None:
    torch.manual_seed(0)
    flat, gradients = torch.randn(2, 6, dtype=torch.float64), torch.randn(5, 2, 6, dtype=torch.float64)
    rates = [0.01, 0.1]
    theirs = [flat[k].clone().requires_grad_() for k in (0, 1)]
    for k in (0, 1):
        optimizer = torch.optim.AdamW([theirs[k]], lr=rates[k], weight_decay=weight_decay)
        for gradient in gradients:
            theirs[k].grad = gradient[k].clone()
            torch.nn.utils.clip_grad_norm_([theirs[k]], 0.7)
            optimizer.step()
    adam = Adam(flat, FitSpec(weight_decay=weight_decay, clip=0.7))
    for gradient in gradients:
        adam.update(gradient, torch.tensor(rates, dtype=torch.float64), torch.ones(2, dtype=torch.bool))
    torch.testing.assert_close(flat, torch.stack(theirs).detach(), rtol=1e-5, atol=1e-7)


def test_a_member_that_rests_does_not_move() -> None:
    flat = torch.ones(2, 3)
    adam = Adam(flat, FitSpec())
    adam.update(torch.ones(2, 3), torch.tensor([0.1, 0.1]), torch.tensor([True, False]))
    assert (flat[0] < 1).all()
    assert (flat[1] == 1).all()
    assert adam.moments.steps.tolist() == [1, 0]


def test_the_learning_rate_rises_then_falls_along_a_cosine() -> None:
    spec = FitSpec(learning_rate=0.1, warmup=0.1)
    total = torch.tensor([100.0])
    rates = [float(learning_rates(spec, torch.tensor([float(n)]), total)) for n in (0, 9, 50, 99)]
    assert rates == pytest.approx([0.01, 0.1 * 0.9801, 0.05, 0.1 * 0.000247], rel=1e-2)


def test_forecasts_and_losses_are_the_same_in_small_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    population, epochs = train([0, 1], backend=PYTORCH)
    origins = torch.arange(LENGTH, len(VALUES)).unsqueeze(0)
    whole = population.predict(POINTS, origins)
    ten_windows = 2 * LENGTH * 3 * 6 * 10  # of two GRUs of six units
    monkeypatch.setattr("models.population.network.MOST_GATES", ten_windows)
    assert population.windows_per_pass() == 10
    torch.testing.assert_close(population.predict(POINTS, origins), whole, rtol=0, atol=1e-6)
    np.testing.assert_allclose(train([0, 1], backend=PYTORCH)[1][-1].val_loss, epochs[-1].val_loss, rtol=1e-5)

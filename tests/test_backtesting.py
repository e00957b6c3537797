"""Forecasts from rolling origins: their origins and horizons, what they know, refits and intervals."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models.baselines import BASELINES, fit_baseline
from models.data.covariates import NO_COVARIATES, CovariateNames
from models.data.panel import panel_from_frame
from models.errors import InputError
from models.metrics import coverage
from models.specs import (
    AutoWindow,
    ElmanSpec,
    FitSpec,
    IntervalSpec,
    ModelSpec,
    NumpyRNNSpec,
    RecurrentSpec,
    RefitSpec,
    SplitSpec,
    WindowSpec,
)
from tasks.backtest.forecasting import (
    RollingForecasts,
    conformal_interval,
    forecast_with_baseline,
    forecast_with_model,
    train_further,
)
from tasks.backtest.planning import BacktestPlan, plan_backtest, with_test_points
from tasks.backtest.tables import forecast_table
from tasks.data.preparation import Dataset, prepare_data
from tasks.data.series import Series
from tasks.data.settings import direct_window
from tasks.training import Training, build_forecaster

NEVER = RefitSpec()


def waves(*lengths: int, noise: float = 0.2) -> pd.DataFrame:
    """Series "a", "b" ... at the times 0, 1, ..., each a noisy wave of 8 points, higher than the one before."""
    random, tables = np.random.default_rng(0), []
    for number, points in enumerate(lengths):
        values = 10 * number + np.sin(np.arange(points) * np.pi / 4) + random.normal(0, noise, points)
        tables.append(pd.DataFrame({"unique_id": "abcdef"[number], "ds": np.arange(points), "y": values}))
    return pd.concat(tables, ignore_index=True)


def prepared(
    frame: pd.DataFrame, window: WindowSpec, split: SplitSpec, season: int = 8, names: CovariateNames = NO_COVARIATES
) -> Dataset:
    panel, _ = panel_from_frame(frame, "last", names)
    return prepare_data.fn(Series("s", panel, (), "", "y", "s"), window, split, season, "test")


def ramp(
    *lengths: int, validation: int = 4, test: float = 6, missing: tuple[int, ...] = (), short: str = "error"
) -> Dataset:
    """Series "s0", "s1" ... whose value at point p of the panel is p, or missing."""
    tables = [pd.DataFrame({"unique_id": f"s{n}", "ds": np.arange(points)}) for n, points in enumerate(lengths)]
    frame = pd.concat(tables, ignore_index=True)
    frame["y"] = np.arange(float(len(frame)))
    frame.loc[list(missing), "y"] = np.nan
    window = WindowSpec.model_validate({"length": 3, "horizon": 2, "short": short})
    return prepared(frame, window, SplitSpec(validation=validation, test=test), 1)


def trained(data: Dataset, model: str = "gru", **fit: Any) -> Training:
    """Train a small network for two epochs."""
    spec = ModelSpec(
        model=model,
        window=data.window,
        season=data.season,
        recurrent=RecurrentSpec(hidden=4),
        fit=FitSpec(**{"epochs": 2, "batch": 16, "learning_rate": 0.02} | fit),
        elman=ElmanSpec(epochs=2),
        numpy_rnn=NumpyRNNSpec(hidden=4, epochs=2),
    )
    forecaster = build_forecaster(spec, data)
    scaled = forecaster.scaling.scale(data.panel, forecaster.network.dtype)
    for _ in forecaster.network.fit(scaled, data.origins["train"], data.origins.get("val")):
        pass
    return Training(forecaster, {}, 0.0)


def weights(training: Training) -> np.ndarray:
    """Return all weights of a network as one array."""
    return np.concatenate([weight.ravel() for weight in training.forecaster.network.state().values()])


# Origins


def test_every_point_with_room_for_the_horizon_after_it_is_an_origin() -> None:
    plan = plan_backtest.fn(ramp(20), None, 1)
    assert plan.horizon == 2
    assert plan.origins["test"].tolist() == [14, 15, 16, 17, 18]
    assert plan.actual["test"].tolist() == [[14, 15], [15, 16], [16, 17], [17, 18], [18, 19]]


def test_validation_ends_where_the_test_part_begins() -> None:
    plan = plan_backtest.fn(ramp(20), None, 1)
    assert plan.origins["val"].tolist() == [10, 11, 12, 13]
    np.testing.assert_array_equal(plan.actual["val"], [[10, 11], [11, 12], [12, 13], [13, np.nan]])


def test_the_stride_counts_from_each_series_own_first_origin() -> None:
    plan = plan_backtest.fn(ramp(20, 15), None, 3)
    assert plan.origins["test"].tolist() == [14, 17, 29, 32]
    assert plan.series("test").tolist() == [0, 0, 1, 1]


def test_validation_takes_every_origin_whatever_the_stride() -> None:
    plan = plan_backtest.fn(ramp(20, 15), None, 3)
    assert plan.origins["val"].tolist() == [*range(10, 14), *range(25, 29)]
    assert plan.series("val").tolist() == [0] * 4 + [1] * 4


def test_of_a_validation_part_with_more_than_50_000_origins_every_second_is_taken() -> None:
    few = plan_backtest.fn(ramp(50_016, validation=50_000), None, 1)
    assert few.origins["val"].tolist() == list(range(10, 50_010))
    many = plan_backtest.fn(ramp(50_017, validation=50_001), None, 1)
    assert many.origins["val"].tolist() == list(range(10, 50_011, 2))
    assert many.actual["val"].shape == (25_001, 2)


def test_a_share_gives_series_of_other_lengths_test_parts_of_other_lengths() -> None:
    data = ramp(40, 20, test=0.25)
    assert plan_backtest.fn(data, 4, 2).origins["test"].tolist() == [30, 32, 34, 36, 55]


def test_a_stride_beyond_the_test_part_leaves_one_origin_a_series() -> None:
    assert plan_backtest.fn(ramp(20, 15), None, 1000).origins["test"].tolist() == [14, 29]


def test_an_origin_with_nothing_observed_ahead_is_passed_over() -> None:
    plan = plan_backtest.fn(ramp(20, missing=(16, 17)), None, 1)
    assert plan.origins["test"].tolist() == [14, 15, 17, 18]
    np.testing.assert_array_equal(plan.actual["test"], [[14, 15], [15, np.nan], [np.nan, 18], [18, 19]])


NO_ROOM = (
    r"^the test part of series '{}' has no room for {} steps ahead, or no observed value; make the test part larger or "
    r"--horizon smaller, or see --window.short$"
)


def test_a_test_part_without_room_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match=NO_ROOM.format("s0", 7)):
        plan_backtest.fn(ramp(20), 7, 1)


def test_without_a_test_part_there_is_nothing_to_backtest() -> None:
    with pytest.raises(InputError, match=NO_ROOM.format("s0", 2)):
        plan_backtest.fn(ramp(20, test=0), None, 1)


def test_a_series_whose_test_part_has_no_room_is_named_or_has_no_origin_where_short_series_may_be_left_out() -> None:
    lengths = 40, 20, 36  # of which 10, 5 and 9 points are tested
    with pytest.raises(InputError, match=NO_ROOM.format("s1", 6)):
        plan_backtest.fn(ramp(*lengths, test=0.25), 6, 1)
    for short in ("leave_out", "pad"):
        data = ramp(*lengths, test=0.25, short=short)
        plan = plan_backtest.fn(data, 6, 2)
        assert data.panel.ids == ("s0", "s1", "s2")
        assert plan.origins["test"].tolist() == [30, 32, 34, 87, 89]
        assert plan.series("test").tolist() == [0, 0, 0, 2, 2]
        assert set(plan.series("val")) == {0, 1, 2}
        with pytest.raises(InputError, match=NO_ROOM.format("s0", 11)):  # there is none at all
            plan_backtest.fn(data, 11, 1)


def test_a_series_without_a_value_in_its_test_part_is_named_or_has_no_origin_either() -> None:
    with pytest.raises(InputError, match=NO_ROOM.format("s1", 2)):
        plan_backtest.fn(ramp(20, 15, missing=tuple(range(29, 35))), None, 1)
    plan = plan_backtest.fn(ramp(20, 15, missing=tuple(range(29, 35)), short="leave_out"), None, 1)
    assert plan.origins["test"].tolist() == [14, 15, 16, 17, 18]


def test_a_shorter_horizon_makes_a_smaller_head_and_a_longer_one_leaves_it() -> None:
    window = AutoWindow(length=6, horizon=4)
    assert [direct_window(window, horizon).horizon for horizon in (1, 4, 9)] == [1, 4, 4]
    assert direct_window(window, 1).length == 6
    assert direct_window(AutoWindow(length=6), 1) == AutoWindow(length=6)  # a rule chooses the head


def test_test_points_take_the_place_of_the_test_part_alone() -> None:
    split = SplitSpec(train=30, validation=0.2, test=0.1)
    assert with_test_points(split, 5) == SplitSpec(train=30, validation=0.2, test=5)
    assert with_test_points(split, 1).test == 1  # a point, not the whole
    assert with_test_points(split, None) == split


# Horizons


@pytest.mark.parametrize("horizon", [2, 3, 7])
def test_a_model_forecasts_as_far_as_it_is_asked(horizon: int) -> None:
    window = WindowSpec(length=6, horizon=min(3, horizon))
    data = prepared(waves(80, 60), window, SplitSpec(validation=12, test=12))
    plan, training = plan_backtest.fn(data, horizon, 1), trained(data)
    rolling = forecast_with_model.fn(training, plan, NEVER, IntervalSpec(), "cpu")
    assert rolling.forecasts["test"].shape == plan.actual["test"].shape == (2 * (13 - horizon), horizon)
    direct = training.forecaster.predict(data.panel, plan.origins["test"])  # the steps of the head
    np.testing.assert_array_equal(rolling.forecasts["test"][:, : direct.shape[1]], direct)


def test_steps_beyond_the_head_come_from_the_models_own_forecasts() -> None:
    data = prepared(waves(80), WindowSpec(length=6, horizon=2, scale="none"), SplitSpec(validation=12, test=12))
    plan, training = plan_backtest.fn(data, 4, 1), trained(data)
    forecasts = forecast_with_model.fn(training, plan, NEVER, IntervalSpec(), "cpu").forecasts["test"]
    first = int(plan.origins["test"][0])
    values = data.panel.values.copy()
    values[first : first + 2] = forecasts[0, :2]
    onward = training.forecaster.predict(data.panel.with_values(values), np.array([first + 2]))
    np.testing.assert_allclose(forecasts[0, 2:], onward[0], rtol=1e-6)


@pytest.mark.parametrize("name", ["gru", "elman", "numpy_rnn", *BASELINES])
def test_all_origins_in_one_pass_are_forecast_as_one_at_a_time(name: str) -> None:
    lengths = (70,) if name == "elman" else (70, 50)
    data = prepared(waves(*lengths), WindowSpec(length=6), SplitSpec(validation=12, test=12))
    plan = plan_backtest.fn(data, 4, 1)
    if name in BASELINES:
        network: Any = fit_baseline(name, data.panel, data.origins["train"], 6, 4, data.season)
        together = forecast_with_baseline.fn(name, plan).forecasts["test"]
    else:
        training = trained(data, name)
        network, together = (
            training.forecaster,
            forecast_with_model.fn(training, plan, NEVER, IntervalSpec(), "cpu").forecasts["test"],
        )
    alone = [network.extend(data.panel, 4, plan.origins["test"][row : row + 1]) for row in range(len(together))]
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-5, atol=1e-6)


def test_the_naive_baselines_repeat_what_came_before_each_origin() -> None:
    plan = plan_backtest.fn(replace(ramp(20), season=4), 6, 1)
    assert forecast_with_baseline.fn("last_value", plan).forecasts["test"].tolist() == [[13] * 6]
    assert forecast_with_baseline.fn("seasonal_naive", plan).forecasts["test"].tolist() == [[10, 11, 12, 13, 10, 11]]
    assert forecast_with_baseline.fn("linear_ar", plan).forecasts["test"] == pytest.approx(plan.actual["test"])


def test_baselines_have_no_intervals() -> None:
    assert all(
        forecast_with_baseline.fn(name, plan_backtest.fn(ramp(20), None, 1)).interval is None for name in BASELINES
    )


# What forecasts know


SPLIT = SplitSpec(validation=24, test=16)
WINDOW = WindowSpec(length=6, horizon=3)
AHEAD = 5


def roll(
    data: Dataset, refit: RefitSpec, recent: int | None, model: str = "gru", **fit: Any
) -> tuple[BacktestPlan, dict[str, RollingForecasts]]:
    """Run a whole backtest of one model and all baselines."""
    plan = plan_backtest.fn(data, AHEAD, 1)
    rolling = {name: forecast_with_baseline.fn(name, plan) for name in BASELINES}
    return plan, rolling | {
        model: forecast_with_model.fn(trained(data, model, **fit), plan, refit, IntervalSpec(recent=recent), "cpu")
    }


def spoilt(data: Dataset, point: int) -> Dataset:
    """Add 100 to every value of a series from a point on."""
    values, end = data.panel.values.copy(), data.panel.ends[data.panel.series_of(np.array(point))]
    values[point:end] += 100
    return replace(data, series=replace(data.series, panel=data.panel.with_values(values)))


def differs(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return which rows [M] changed, even by a single bit."""
    return (before != after).any(axis=1)


@pytest.mark.parametrize("every", [0, 4])
@pytest.mark.parametrize("recent", [None, 10])
@pytest.mark.parametrize("number", [0, 5, 11])
@pytest.mark.parametrize("scope", ["global", "local"])
def test_values_from_an_origin_on_change_no_forecast_from_it_or_from_an_earlier_one(
    every: int, recent: int | None, number: int, scope: str
) -> None:
    refit = RefitSpec(every=every, epochs=1)
    data = prepared(waves(120, 90), WINDOW, SPLIT, season=AHEAD)  # so that the seasonal naive reads the last value
    plan, before = roll(data, refit, recent, scope=scope)
    origin = int(plan.origins["test"][number])  # of the first series
    _, after = roll(spoilt(data, origin), refit, recent, scope=scope)
    first = plan.series("test") == 0
    ranks = np.tile(np.arange(12), 2)
    for name, run in before.items():
        changed = differs(run.forecasts["test"], after[name].forecasts["test"])
        if run.interval and (bounds := after[name].interval):
            changed |= differs(run.interval[0], bounds[0]) | differs(run.interval[1], bounds[1])
        assert not changed[first & (ranks <= number)].any(), name
        assert not changed[~first].any(), name  # of the second series, whose end comes before
        assert changed[first & (ranks > number)].all(), name


def overlapping() -> Dataset:
    """Series with the times 0 to 119 and 24 to 113, whose origins have the times 104 to 115 and 98 to 109."""
    frame = waves(120, 90)
    frame.loc[frame["unique_id"] == "b", "ds"] += 24
    return prepared(frame, WINDOW, SPLIT)


@pytest.mark.parametrize("scope", ["global", "local"])
@pytest.mark.parametrize("every", [0, 1, 4])
@pytest.mark.parametrize("moment", [104, 105, 106, 109, 110, 113])
@pytest.mark.parametrize("number", [0, 1])
def test_only_with_refits_does_a_series_learn_from_another_and_never_from_later_values(
    number: int, moment: int, every: int, scope: str
) -> None:
    data, refit = overlapping(), RefitSpec(every=every, epochs=1)
    plan, before = roll(data, refit, None, scope=scope)
    _, after = roll(spoilt(data, [0, 120 - 24][number] + moment), refit, None, scope=scope)
    changed = differs(before["gru"].forecasts["test"], after["gru"].forecasts["test"])
    times, of_series = data.panel.all_times()[plan.origins["test"]], plan.series("test") == number
    assert times.tolist() == [*range(104, 116), *range(98, 110)]
    assert changed[of_series].tolist() == (times[of_series] > moment).tolist()
    if every == 0 or scope == "local":
        assert not changed[~of_series].any()
    else:  # a training comes before the times 98, 98 + every ... and sees what came before them
        training = times - (times - 98) % every
        assert changed[~of_series].tolist() == (training > moment)[~of_series].tolist()


@pytest.mark.parametrize("model", ["elman", "numpy_rnn"])
@pytest.mark.parametrize("every", [0, 4])
def test_the_two_historical_networks_do_not_look_ahead_either(model: str, every: int) -> None:
    data, refit = prepared(waves(120), WindowSpec(length=6), SPLIT), RefitSpec(every=every, epochs=1)
    plan, before = roll(data, refit, 10, model)
    _, after = roll(spoilt(data, int(plan.origins["test"][5])), refit, 10, model)
    changed = differs(before[model].forecasts["test"], after[model].forecasts["test"])
    assert changed.tolist() == [False] * 6 + [True] * 6


@pytest.mark.parametrize(
    "changes",
    [{"transform": "log"}, {"transform": "difference"}, {"scale": "robust"}, {"scale": "none", "short": "pad"}],
    ids=lambda changes: ", ".join(changes.values()),
)
@pytest.mark.parametrize("horizon", [3, 5])
def test_no_scaling_reveals_future_values(changes: dict[str, str], horizon: int) -> None:
    frame = waves(120, 100)
    frame["y"] += 5  # which has a logarithm
    frame.loc[[50, 51, 106], "y"] = np.nan
    window = WindowSpec.model_validate({"length": 6, "horizon": horizon} | changes)
    data, refit = prepared(frame, window, SPLIT), RefitSpec(every=4, epochs=1)
    plan, before = roll(data, refit, 10)
    _, after = roll(spoilt(data, int(plan.origins["test"][5])), refit, 10)
    changed = differs(before["gru"].forecasts["test"], after["gru"].forecasts["test"])
    assert changed[:12].tolist() == [False] * 6 + [True] * 6
    assert not changed[12:].any()  # of the second series, whose end comes before


def test_covariates_of_the_past_are_not_known_ahead() -> None:
    frame = waves(120)
    frame["heat"] = np.cos(np.arange(120) * np.pi / 4)
    data = prepared(frame, WINDOW, SPLIT, names=CovariateNames(past=("heat",)))
    plan, before = roll(data, NEVER, None)
    frame.loc[plan.origins["test"][5] :, "heat"] += 100
    _, after = roll(prepared(frame, WINDOW, SPLIT, names=CovariateNames(past=("heat",))), NEVER, None)
    changed = differs(before["gru"].forecasts["test"], after["gru"].forecasts["test"])
    assert changed.tolist() == [False] * 6 + [True] * 6


# Refits


@pytest.mark.parametrize("scope", ["global", "local"])
def test_origins_are_grouped_by_their_times_and_share_a_refit_on_what_was_known_before_the_first(
    scope: str,
) -> None:
    # Points 0 to 39 and 40 to 59, both from time 0 on, of which the last 8 and 4 are tested one step ahead.
    data = prepared(waves(40, 20), WindowSpec(length=4), SplitSpec(validation=0.2, test=0.2), 1)
    plan, refit, training = plan_backtest.fn(data, None, 1), RefitSpec(every=3, epochs=2), trained(data, scope=scope)
    assert plan.origins["test"].tolist() == [*range(32, 40), *range(56, 60)]
    forecasts = forecast_with_model.fn(training, plan, refit, IntervalSpec(), "cpu").forecasts["test"]
    groups = [
        ([8, 9, 10], [*range(4, 16), *range(44, 56)]),  # the times 16 to 18
        ([11, 0, 1], [*range(4, 19), *range(44, 59)]),  # 19, 32 and 33
        ([2, 3, 4], [*range(4, 34), *range(44, 60)]),  # 34 to 36
        ([5, 6, 7], [*range(4, 37), *range(44, 60)]),  # 37 to 39
    ]
    forecaster = training.forecaster
    for rows, train in groups:
        forecaster = train_further(forecaster, data, np.array(train), refit)
        expected = forecaster.extend(data.panel, 1, plan.origins["test"][rows])
        assert np.isfinite(expected).all()
        np.testing.assert_array_equal(forecasts[rows], expected)


def test_origins_of_several_series_at_one_time_count_once() -> None:
    data = prepared(waves(40, 40), WindowSpec(length=4), SplitSpec(validation=8, test=4), 1)
    plan, refit, training = plan_backtest.fn(data, None, 1), RefitSpec(every=3, epochs=1), trained(data)
    forecasts = forecast_with_model.fn(training, plan, refit, IntervalSpec(), "cpu").forecasts["test"]
    first = train_further(training.forecaster, data, np.array([*range(4, 36), *range(44, 76)]), refit)
    second = train_further(first, data, np.array([*range(4, 39), *range(44, 79)]), refit)
    np.testing.assert_array_equal(
        forecasts[[0, 1, 2, 4, 5, 6]], first.extend(data.panel, 1, plan.origins["test"])[[0, 1, 2, 4, 5, 6]]
    )
    np.testing.assert_array_equal(forecasts[[3, 7]], second.extend(data.panel, 1, plan.origins["test"])[[3, 7]])


def test_a_refit_continues_from_the_weights_and_keeps_the_scaling() -> None:
    data = prepared(waves(80), WINDOW, SPLIT)
    training = trained(data)
    before, train = weights(training), data.origins["train"]
    slow = train_further(training.forecaster, data, train, RefitSpec(every=1, epochs=1, learning_rate=1e-9))
    fast = train_further(training.forecaster, data, train, RefitSpec(every=1, epochs=1))
    np.testing.assert_allclose(weights(Training(slow, {}, 0)), before, atol=1e-7)
    assert np.abs(weights(Training(fast, {}, 0)) - before).max() > 1e-3
    np.testing.assert_array_equal(weights(training), before)  # the first network has not changed
    assert fast.scaling is training.forecaster.scaling


def test_a_refit_has_its_own_epochs_and_learning_rate() -> None:
    data = prepared(waves(80), WINDOW, SPLIT)
    forecaster, train = trained(data, patience=1).forecaster, data.origins["train"]
    refitted = train_further(forecaster, data, train, RefitSpec(every=1, epochs=7, learning_rate=0.001))
    assert (refitted.spec.fit.epochs, refitted.spec.fit.learning_rate, refitted.spec.fit.patience) == (7, 0.001, None)
    assert refitted.spec.elman.epochs == refitted.spec.numpy_rnn.epochs == 7
    as_before = train_further(forecaster, data, train, RefitSpec(every=1))
    assert (as_before.spec.fit.epochs, as_before.spec.fit.learning_rate) == (5, 0.02)
    assert as_before.spec.recurrent == forecaster.spec.recurrent


def test_the_first_forecasts_of_the_test_part_are_made_after_a_first_refit() -> None:
    data = prepared(waves(120), WINDOW, SPLIT)
    plan, training = plan_backtest.fn(data, AHEAD, 1), trained(data)
    once = forecast_with_model.fn(training, plan, NEVER, IntervalSpec(), "cpu")
    often = forecast_with_model.fn(training, plan, RefitSpec(every=1000, epochs=1), IntervalSpec(), "cpu")
    np.testing.assert_array_equal(once.forecasts["val"], often.forecasts["val"])
    assert differs(once.forecasts["test"], often.forecasts["test"]).all()


# Intervals


def off_by(plan: BacktestPlan, validation: float, test: float) -> dict[str, np.ndarray]:
    """Return forecasts of a ramp that are too low by these errors."""
    steps = np.arange(plan.horizon)
    errors = {"val": validation, "test": test}
    return {part: origins[:, None] + steps - errors[part] for part, origins in plan.origins.items()}


def test_intervals_are_as_wide_as_the_errors_in_validation() -> None:
    plan = plan_backtest.fn(ramp(60, validation=12), None, 1)  # the scale is a step of the ramp, 1
    forecasts = off_by(plan, validation=2, test=5)
    interval = conformal_interval(forecasts, plan, IntervalSpec())
    assert interval is not None
    assert interval[0].tolist() == (forecasts["test"] - 2).tolist()
    assert interval[1].tolist() == (forecasts["test"] + 2).tolist()


def test_intervals_of_recent_errors_follow_what_an_origin_knows() -> None:
    plan = plan_backtest.fn(ramp(60, validation=12), None, 1)
    forecasts = off_by(plan, validation=2, test=5)
    interval = conformal_interval(forecasts, plan, IntervalSpec(recent=10))
    assert interval is not None
    # The largest of the last 10 errors counts. The second origin knows the first value of the test part, and the
    # third origin its second value, on which step 2 is scored.
    reach = [[2, 2], [5, 2], [5, 5], [5, 5], [5, 5]]
    assert (interval[1] - forecasts["test"]).tolist() == reach
    assert (forecasts["test"] - interval[0]).tolist() == reach


def test_where_fewer_than_ten_errors_of_a_series_are_known_its_intervals_are_those_of_validation() -> None:
    plan = plan_backtest.fn(ramp(60, 60, validation=8), None, 1)
    forecasts = off_by(plan, validation=2, test=5)
    interval = conformal_interval(forecasts, plan, IntervalSpec(recent=10))
    assert interval is not None
    # Step 1: 8 errors in validation and 2 in the test part are 10 at the third origin. Step 2 comes one later.
    assert (interval[1] - forecasts["test"]).tolist() == [[2, 2], [2, 2], [5, 2], [5, 5], [5, 5]] * 2


def test_where_validation_has_fewer_than_ten_errors_too_there_is_no_interval_yet() -> None:
    plan = plan_backtest.fn(ramp(60, validation=8), None, 1)
    forecasts = off_by(plan, validation=2, test=5)
    interval = conformal_interval(forecasts, plan, IntervalSpec(recent=10))
    assert interval is not None
    reach = [[np.nan, np.nan], [np.nan, np.nan], [5, np.nan], [5, 5], [5, 5]]
    np.testing.assert_array_equal(interval[1] - forecasts["test"], reach)
    np.testing.assert_array_equal(forecasts["test"] - interval[0], reach)


def test_a_step_has_an_interval_from_ten_errors_in_validation_on() -> None:
    plan = plan_backtest.fn(ramp(60, validation=10), None, 1)  # 10 errors one step ahead, 9 two
    forecasts = off_by(plan, validation=2, test=5)
    interval = conformal_interval(forecasts, plan, IntervalSpec())
    assert interval is not None
    np.testing.assert_array_equal(interval[1] - forecasts["test"], [[2, np.nan]] * 5)
    plan = plan_backtest.fn(ramp(60, validation=9), None, 1)
    assert conformal_interval(off_by(plan, validation=2, test=5), plan, IntervalSpec()) is None


def test_the_interval_of_a_series_has_the_scale_of_the_series() -> None:
    frame = pd.DataFrame({"unique_id": np.repeat(["s0", "s1"], 60), "ds": np.tile(np.arange(60), 2)})
    frame["y"] = np.concatenate([np.arange(60.0), 10 * np.arange(60.0)])
    plan = plan_backtest.fn(prepared(frame, WindowSpec(length=3), SplitSpec(validation=12, test=6), 1), None, 1)
    scale = np.repeat([1.0, 10.0], 6)[:, None]
    forecasts = {"val": plan.actual["val"] - 2 * np.repeat([1.0, 10.0], 12)[:, None], "test": plan.actual["test"]}
    interval = conformal_interval(forecasts, plan, IntervalSpec())
    assert interval is not None
    np.testing.assert_allclose(interval[1] - interval[0], 4 * scale)


def test_without_a_validation_part_there_are_no_intervals() -> None:
    data = prepared(waves(80), WINDOW, SplitSpec(validation=0, test=16))
    plan = plan_backtest.fn(data, AHEAD, 1)
    assert set(plan.origins) == {"test"}
    rolling = forecast_with_model.fn(trained(data), plan, RefitSpec(every=4, epochs=1), IntervalSpec(recent=10), "cpu")
    assert rolling.interval is None
    assert set(rolling.forecasts) == {"test"}


@pytest.mark.parametrize("recent", [None, 200])
@pytest.mark.parametrize("level", [50, 90])
def test_intervals_hold_about_their_level_of_a_noisy_wave_and_contain_the_forecast(
    level: int, recent: int | None
) -> None:
    data = prepared(waves(4000), WINDOW, SplitSpec(validation=1000, test=1000))
    plan = plan_backtest.fn(data, AHEAD, 1)
    training = trained(data, epochs=8)
    rolling = forecast_with_model.fn(training, plan, NEVER, IntervalSpec(level=level, recent=recent), "cpu")
    assert rolling.interval is not None
    (low, high), forecast = rolling.interval, rolling.forecasts["test"]
    assert (low <= forecast).all()
    assert (forecast <= high).all()
    for step in range(AHEAD):
        covered = coverage(plan.actual["test"][:, step], low[:, step], high[:, step])
        assert covered == pytest.approx(level / 100, abs=0.07)


# As a table


def test_the_table_has_a_row_for_each_forecast_with_its_cutoff() -> None:
    plan = plan_backtest.fn(ramp(20, 15), None, 4)  # from the points 14 and 18 of the first, 9 and 13 of the second
    gru = np.arange(8.0).reshape(4, 2)
    table = forecast_table(plan, {"gru": gru, "gru-lo-90": gru - 1, "gru-hi-90": gru + 1, "last_value": -gru})
    assert list(table) == ["unique_id", "cutoff", "ds", "y", "gru", "gru-lo-90", "gru-hi-90", "last_value"]
    assert table["unique_id"].tolist() == ["s0"] * 4 + ["s1"] * 4
    assert table["cutoff"].tolist() == [13, 13, 17, 17, 8, 8, 12, 12]
    assert table["ds"].tolist() == [14, 15, 18, 19, 9, 10, 13, 14]
    assert table["y"].tolist() == [14, 15, 18, 19, 29, 30, 33, 34]
    assert table["gru-hi-90"].tolist() == list(range(1, 9))


def test_the_table_has_the_times_of_the_series_and_no_value_in_gaps() -> None:
    days = pd.date_range("2024-01-01", periods=20, freq="D")
    frame = pd.DataFrame({"unique_id": "s", "ds": days, "y": np.arange(20.0)})
    frame.loc[15, "y"] = np.nan
    plan = plan_backtest.fn(prepared(frame, WindowSpec(length=3, horizon=2), SplitSpec(validation=4, test=6)), None, 3)
    table = forecast_table(plan, {})
    assert table["cutoff"].tolist() == [days[13], days[13], days[16], days[16]]
    assert table["ds"].tolist() == [days[14], days[15], days[17], days[18]]
    np.testing.assert_array_equal(table["y"], [14, np.nan, 17, 18])

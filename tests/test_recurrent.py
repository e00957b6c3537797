"""The recurrent forecasters: what they may see of a panel, which network forecasts a series, what they learn from."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models.data.covariates import CovariateNames, Covariates
from models.data.panel import Panel, one_series, panel_from_frame
from models.data.scaling import fit_scaling
from models.data.splits import split_panel
from models.data.windows import origins_within
from models.errors import InputError
from models.forecaster import Forecaster, build_network, layout_of, refuse_misfit
from models.population.window_scaling import TrainingScales
from models.recurrent import Recurrent
from models.specs import ModelSpec, SplitSpec
from tests.support.panels import cut_short

LENGTH, HORIZON = 6, 3
SPLIT = SplitSpec(validation=20, test=20)
LENGTHS = {"a": 90, "b": 110, "c": 70}


def table(lengths: dict[str, int] = LENGTHS, ahead: int = 12) -> pd.DataFrame:
    """Noisy hourly waves about 10, with a known and a past covariate that move them, and a static one."""
    draw, tables = np.random.default_rng(0), []
    for name, length in lengths.items():
        rows = length + ahead
        sale, heat = draw.normal(size=(2, rows))
        y = 10 + np.sin(np.arange(rows) * 0.4) + 0.5 * sale + 0.3 * np.roll(heat, 1)
        y[length:] = np.nan
        hours = pd.date_range("2024-01-01", periods=rows, freq="h")
        columns = {"ds": hours, "y": y, "sale": sale, "heat": heat, "size": float(length)}
        tables.append(pd.DataFrame({"unique_id": name, **columns}))
    return pd.concat(tables, ignore_index=True)


COVARIATES = CovariateNames(past=("heat",), known=("sale",), static=("size",))
PANEL = panel_from_frame(table(), "last", COVARIATES)[0]
PLAIN = panel_from_frame(table(ahead=0), "last")[0]


def spec_of(window: dict[str, Any] | None = None, fit: dict[str, Any] | None = None, **recurrent: Any) -> ModelSpec:
    """A small network that is trained for two epochs."""
    return ModelSpec.model_validate(
        {
            "model": "gru",
            "window": {"length": LENGTH, "horizon": HORIZON, **(window or {})},
            "recurrent": {"hidden": 4, "highway": 3, **recurrent},
            "fit": {"epochs": 2, "members": 2, "learning_rate": 0.02, **(fit or {})},
            "season": 4,
        }
    )


def trained(spec: ModelSpec, panel: Panel = PANEL) -> Forecaster:
    parts = split_panel(panel, SPLIT)
    scaling = fit_scaling(panel, parts.train, spec.window)
    network = build_network(spec, layout=layout_of(spec, panel))
    begins, ends = (panel.starts, parts.train), (parts.train, parts.validation)
    origins = [origins_within(panel, a, b, LENGTH, HORIZON) for a, b in zip(begins, ends, strict=True)]
    for _ in network.fit(scaling.scale(panel, network.dtype), *origins):
        pass
    return Forecaster(spec, scaling, network, step=panel.step)


def learnt(panel: Panel, origins: np.ndarray, spec: ModelSpec) -> Recurrent:
    """A network trained on the panel's values as they are, without validation."""
    network = Recurrent(spec, layout=layout_of(spec, panel))
    for _ in network.fit(panel, origins, None):
        pass
    return network


def covariates(panel: Panel) -> Covariates:
    assert panel.covariates is not None
    return panel.covariates


def changed(panel: Panel, begin: int, end: int | None = None, column: str | None = None) -> Panel:
    """The panel with other values from a point on, or with other numbers in a column."""
    if column is None:
        values = panel.values.copy()
        values[begin:end] = 77
        return panel.with_values(values)
    original = covariates(panel)
    numbers = original.values.copy()
    numbers[begin:end, original.names.index(column)] = 77
    return replace(panel, covariates=replace(original, values=numbers))


# What a forecast sees

WAYS = [
    pytest.param({"scale": scale, "transform": transform}, {"scope": scope}, id=f"{scale}-{transform}-{scope}")
    for scale in ("none", "standard", "robust")
    for transform in ("none", "log", "difference")
    for scope in ("global", "local")
]
ORIGIN = np.array([150])
"""The 60th point of the series b, in its training part."""


def paths(forecaster: Forecaster, panel: Panel, origins: np.ndarray = ORIGIN) -> list[np.ndarray]:
    """What is forecast at once, and seven steps ahead, step upon step."""
    return [forecaster.predict(panel, origins), forecaster.extend(panel, 7, origins)]


@pytest.mark.parametrize(("window", "fit"), WAYS)
def test_nothing_from_an_origin_on_changes_a_forecast_from_it_but_what_is_known_ahead(
    window: dict[str, Any], fit: dict[str, Any]
) -> None:
    forecaster = trained(spec_of({**window, "calendar": "hour"}, fit))
    expected = paths(forecaster, PANEL)
    o = int(ORIGIN[0])
    for other in (changed(PANEL, o), changed(PANEL, o, column="heat"), changed(changed(PANEL, o), o, column="heat")):
        for forecast, unchanged in zip(paths(forecaster, other), expected, strict=True):
            np.testing.assert_array_equal(forecast, unchanged)
    for other in (changed(PANEL, o - 1, o), changed(PANEL, o - 1, o, column="heat"), changed(PANEL, o, column="sale")):
        for forecast, unchanged in zip(paths(forecaster, other), expected, strict=True):
            assert (forecast != unchanged).all()


def test_what_is_known_of_a_step_ahead_counts_for_that_step_and_those_fed_by_it() -> None:
    forecaster = trained(spec_of())
    expected, o = paths(forecaster, PANEL), int(ORIGIN[0])
    second, later = changed(PANEL, o + 1, o + 2, column="sale"), changed(PANEL, o + 4, o + 5, column="sale")
    once, path = paths(forecaster, second)
    assert (once != expected[0]).tolist() == [[False, True, False]]
    assert (path != expected[1]).tolist() == [[False, True, False, True, True, True, True]]  # read with the next window
    once, path = paths(forecaster, later)
    assert (once == expected[0]).all()
    assert (path != expected[1]).tolist() == [[False] * 4 + [True, False, True]]


@pytest.mark.parametrize("scope", ["global", "local"])
def test_a_forecast_beyond_the_end_takes_what_is_known_from_the_rows_ahead_and_from_no_other_series(scope: str) -> None:
    forecaster, end = trained(spec_of(fit={"scope": scope})), int(PANEL.ends[0])
    original = covariates(PANEL)
    cut = replace(PANEL, covariates=replace(original, ahead=tuple(rows[:9] for rows in original.ahead)))
    origins = np.array([end - 2, end])
    expected = forecaster.predict(cut_short(cut, np.array([end, 120, 210])), origins)
    spoilt = changed(cut, end, column="sale")  # from the first point of b on
    np.testing.assert_array_equal(forecaster.predict(spoilt, origins), expected)
    ahead = forecaster.extend(cut_short(PANEL, np.array([80, 200, 270])), 9, np.array([80]))  # c has no part in it
    np.testing.assert_allclose(forecaster.extend(PANEL, 9, np.array([80])), ahead, rtol=0, atol=1e-5)
    with pytest.raises(InputError, match=r"series 'a' has no 'sale' at 2024-01-05T03:00:00.*give rows up to"):
        forecaster.extend(cut, 10)


def test_one_forecast_and_a_path_of_as_many_steps_are_the_same() -> None:
    forecaster, origins = trained(spec_of()), np.array([20, 85, 150, 260])
    at_once, path = forecaster.predict(PANEL, origins), forecaster.extend(PANEL, HORIZON, origins)
    np.testing.assert_allclose(path, at_once, rtol=0, atol=1e-5)


@pytest.mark.parametrize("scope", ["global", "local"])
def test_forecasts_are_the_same_in_any_order_and_in_small_passes(scope: str, monkeypatch: pytest.MonkeyPatch) -> None:
    forecaster = trained(spec_of(fit={"scope": scope}))
    origins = np.concatenate([np.arange(n + LENGTH, n + 60) for n in PANEL.starts])
    order = np.random.default_rng(0).permutation(len(origins))
    at_once, paths = forecaster.predict(PANEL, origins), forecaster.extend(PANEL, 8, origins)
    np.testing.assert_array_equal(forecaster.predict(PANEL, origins[order]), at_once[order])
    monkeypatch.setattr("models.recurrent.MOST_FORECASTS", 200)
    monkeypatch.setattr("models.network.CHUNK", 150)
    np.testing.assert_array_equal(forecaster.predict(PANEL, origins), at_once)
    np.testing.assert_allclose(forecaster.extend(PANEL, 8, origins), paths, rtol=0, atol=1e-5)


def test_without_origins_there_is_no_forecast() -> None:
    none = np.empty(0, np.int64)
    for scope in ("global", "local"):
        forecaster = trained(spec_of(fit={"scope": scope}))
        assert forecaster.predict(PANEL, none).shape == (0, HORIZON)
        assert forecaster.extend(PANEL, 5, none).shape == (0, 5)


# Whose network answers


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_each_series_of_its_own_is_trained_as_if_alone_to_the_bit(cell: str) -> None:
    spec = spec_of({"scale": "robust"}, {"scope": "local", "batch": 16}).model_copy(update={"model": cell})
    together = trained(spec, PLAIN).network.state()
    for n in range(3):
        alone = trained(spec, PLAIN.select(np.array([n]))).network.state()
        for name, weight in alone.items():
            np.testing.assert_array_equal(together[name][2 * n : 2 * n + 2], weight)


def test_each_series_is_forecast_by_its_own_networks() -> None:
    spec = spec_of(fit={"scope": "local"})
    together, origins = trained(spec, PLAIN), np.array([80, 140, 199, 240])
    alone = [trained(spec, PLAIN.select(np.array([n]))) for n in range(3)]
    forecasts = together.predict(PLAIN, origins)
    for origin, forecast, n in zip(origins, forecasts, [0, 1, 1, 2], strict=True):
        series = PLAIN.select(np.array([n]))
        expected = alone[n].predict(series, np.array([origin - PLAIN.starts[n]]))[0]
        np.testing.assert_array_equal(forecast, expected)


def test_a_series_that_was_never_seen_is_forecast_by_the_network_for_all_and_refused_by_those_for_one() -> None:
    unseen = panel_from_frame(table({"new": 60}), "last", COVARIATES)[0]
    assert np.isfinite(trained(spec_of()).extend(unseen, 5)).all()
    with pytest.raises(
        InputError, match=r"'new' has no network of its own: .* train again with it, or with --fit\.scope"
    ):
        trained(spec_of(fit={"scope": "local"})).extend(unseen, 5)


@pytest.mark.parametrize("transform", ["none", "log", "difference"])
@pytest.mark.parametrize("scale", ["none", "standard", "robust"])
def test_a_series_that_was_never_seen_is_scaled_by_what_comes_before_its_first_origin(
    scale: str, transform: str
) -> None:
    forecaster = trained(spec_of({"scale": scale, "transform": transform}))
    unseen = panel_from_frame(table({"new": 60}), "last", COVARIATES)[0]
    origins = np.array([30, 31])
    for forecast, expected in zip(
        paths(forecaster, changed(unseen, 30), origins[:1]), paths(forecaster, unseen, origins), strict=True
    ):
        np.testing.assert_allclose(forecast[0], expected[0], rtol=1e-6)


@pytest.mark.parametrize(("combine", "over"), [("median", np.median), ("mean", np.mean)])
def test_an_ensembles_forecast_is_the_median_or_the_mean_of_its_members(combine: str, over: Any) -> None:
    forecaster = trained(spec_of(fit={"members": 5, "combine": combine}))
    state, members = forecaster.network.state(), []
    for k in range(5):
        one = Recurrent(spec_of(fit={"members": 1}), layout=forecaster.network.layout)
        one.load({name: weight[k : k + 1] for name, weight in state.items()})
        members.append(replace(forecaster, network=one).predict(PANEL, ORIGIN))
    expected = over(members, axis=0)
    np.testing.assert_allclose(forecaster.predict(PANEL, ORIGIN), expected, rtol=1e-6)
    assert np.ptp(members, axis=0).min() > 1e-3


# What is learnt


def test_weights_of_highway_and_covariates_begin_at_zero_and_learn() -> None:
    with_highway, without = (
        Recurrent(spec_of(highway=highway), layout=layout_of(spec_of(), PLAIN)) for highway in (5, 0)
    )
    windows = np.random.default_rng(0).normal(size=(4, LENGTH))
    np.testing.assert_array_equal(with_highway.predict_windows(windows), without.predict_windows(windows))
    head = Recurrent(spec_of(), layout=layout_of(spec_of(), PANEL)).state()["head"]
    assert head.shape == (2, 1 + 4 + 3 + 2, HORIZON)  # a bias, 4 units, 3 highway values, 2 covariates known ahead
    assert (head[:, 5:] == 0).all()
    assert (head[:, :5] != 0).all()
    learnt = trained(spec_of()).network.state()["head"] != 0
    assert learnt.all(axis=(0, 2)).tolist() == [True] * 7 + [False] + [True] * 2  # the last value is 0 from itself


def test_a_highway_longer_than_the_window_is_the_whole_window() -> None:
    long, whole = (Recurrent(spec_of(highway=highway)).state()["head"] for highway in (100, LENGTH))
    np.testing.assert_array_equal(long, whole)


@pytest.mark.parametrize("length", [6, 7])
def test_values_are_read_a_segment_at_a_time_and_what_is_left_over_at_the_far_end_is_not(length: int) -> None:
    spec = spec_of({"length": length}, highway=0, segment=3, input_offset="none", target_offset="none")
    assert Recurrent(spec, layout=layout_of(spec, PANEL)).state()["layer0"].shape == (2, 3 + 3 + 2 + 4, 12)
    network, windows = Recurrent(spec), np.random.default_rng(0).normal(size=(5, length))
    before = network.predict_windows(windows)
    windows[:, 0] += 1
    assert ((network.predict_windows(windows) == before) == (length == 7)).all()


def test_a_window_that_is_one_segment_is_read_in_a_single_step() -> None:
    """So the state before it is zero, and what the hidden units read of it learns nothing."""
    spec = spec_of(highway=0, segment=LENGTH)
    before = Recurrent(spec).state()["layer0"].copy()
    after = learnt(PLAIN, np.arange(LENGTH, 60), spec).state()["layer0"]
    rows = (before != after).any(axis=(0, 2)).tolist()
    assert rows == [True] * (LENGTH - 1) + [False] + [True] * 2 + [False] * 4  # the last value is 0 from itself


def gappy(filled: float) -> tuple[Panel, np.ndarray]:
    """A wave whose 90th to 92nd values were not observed but filled, and its origins up to the 91st."""
    values = np.sin(np.arange(100) * 0.3)
    values[90:93] = filled
    panel = one_series("a", values)
    panel.observed[90:93] = False
    return panel, origins_within(panel, panel.starts, np.array([94]), LENGTH, HORIZON)


@pytest.mark.parametrize("loss", ["mse", "mae"])
@pytest.mark.parametrize("scope", ["global", "local"])
def test_a_value_that_was_not_observed_is_no_target(loss: str, scope: str) -> None:
    spec = spec_of(fit={"loss": loss, "scope": scope})
    _, origins = gappy(0.0)
    assert origins[-3:].tolist() == [88, 89, 91]  # 90 has nothing to learn; 88, 89 and 91 have the rest
    observed = origins[origins <= 90]  # whose windows end before the gap
    first, second = (learnt(gappy(filled)[0], observed, spec).state() for filled in (0.0, 50.0))
    for name, weight in first.items():
        np.testing.assert_array_equal(second[name], weight)


def test_a_series_with_gaps_is_learnt_with_finite_weights() -> None:
    frame = table(ahead=0)
    frame.loc[np.random.default_rng(1).random(len(frame)) < 0.3, "y"] = np.nan
    frame.loc[[0, 90, 200], "y"] = 10.0
    panel, _ = panel_from_frame(frame, "last")
    forecaster = trained(spec_of(fit={"scope": "local"}), panel)
    assert all(np.isfinite(weight).all() for weight in forecaster.network.state().values())
    assert np.isfinite(forecaster.extend(panel, 10)).all()


@pytest.mark.parametrize("loaded", [True, False])
def test_a_second_training_goes_on_from_the_weights_and_keeps_the_scales(loaded: bool) -> None:
    spec, origins = spec_of(fit={"epochs": 1, "schedule": "constant", "warmup": 0}), np.arange(LENGTH, 60)
    network = learnt(PLAIN, origins, spec)
    state = {name: weight.copy() for name, weight in network.state().items()}
    if loaded:
        network = Recurrent(spec, layout=network.layout)
        network.load(state)
    larger = PLAIN.with_values(10 * PLAIN.values)
    (epoch,) = list(network.fit(larger, origins, None))
    (fresh,) = list(Recurrent(spec, layout=network.layout).fit(PLAIN, origins, None))
    after = network.state()
    for name in TrainingScales._fields:
        assert after[name].tolist() == state[name].tolist()
    assert 0 < np.abs(after["head"] - state["head"]).max() < 0.02 * len(origins)
    assert (epoch.train_loss != fresh.train_loss).all()


def test_a_second_training_takes_the_loss_further_down() -> None:
    spec, origins = spec_of(fit={"epochs": 20, "batch": 16}), np.arange(LENGTH, 60)
    network = Recurrent(spec, layout=layout_of(spec, PLAIN))
    first, second = ([epoch.train_loss for epoch in network.fit(PLAIN, origins, None)] for _ in range(2))
    assert (second[0] < first[0]).all()
    assert (second[-1] < first[-1]).all()


# What is refused


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"model": "numpy_rnn", "window": {"calendar": "hour"}},
            "numpy_rnn reads values alone; leave --window.calendar",
        ),
        ({"model": "elman"}, "elman reads values alone"),
        ({"model": "gru", "window": {"transform": "log"}}, "series 'a' has the value -1, which has no logarithm"),
    ],
)
def test_what_a_model_cannot_do_is_refused_before_it_is_trained(settings: dict[str, Any], message: str) -> None:
    values = PANEL.values.copy()
    values[3] = -1
    with pytest.raises(InputError) as caught:
        refuse_misfit(ModelSpec.model_validate(settings), PANEL.with_values(values))
    assert message in str(caught.value)


def test_a_seasonal_offset_needs_a_window_of_a_season() -> None:
    with pytest.raises(ValueError, match=r"a window of 6 values holds no season of 7: make --window.length at least"):
        ModelSpec.model_validate(
            {"model": "gru", "season": 7, "window": {"length": 6}, "recurrent": {"target_offset": "season"}}
        )

"""What holds for every table, window and scale: nothing is lost, nothing crosses, nothing looks ahead."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.baselines import BASELINES, fit_baseline
from models.data.panel import Panel, panel_from_frame
from models.data.scaling import fit_scaling
from models.data.splits import split_for_windows
from models.data.windows import actual_values, origins_within
from models.forecaster import Forecaster
from models.intervals import Intervals, fixed_half_widths
from models.specs import ElmanSpec, FitSpec, ModelSpec, NumpyRNNSpec, RecurrentSpec, SeriesSpec, SplitSpec, WindowSpec
from tasks.data.preparation import Dataset, prepare_data
from tasks.data.series import Series, read_series
from tasks.forecasting import write_forecast
from tasks.training import calibrate, untrained

repeatable = settings(
    derandomize=True,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

# Tables

numbers = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), min_size=1, max_size=8)
starts = {
    1: st.integers(-(2**61), 2**61),
    7: st.integers(-1000, 1000),
    "D": st.datetimes(min_value=pd.Timestamp(1, 2, 1), max_value=pd.Timestamp(9000, 1, 1)),
    "15min": st.datetimes(min_value=pd.Timestamp(1900, 1, 1), max_value=pd.Timestamp(2100, 1, 1)),
}


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """One to three series on a grid, of two values at least, some of them missing behind the first."""
    step = draw(st.sampled_from([1, 7, "D", "15min"]))
    parts = []
    for name in draw(st.lists(names, min_size=1, max_size=3, unique=True)):
        values = draw(st.lists(st.one_of(numbers, st.just(np.nan)), min_size=2, max_size=12))
        first = draw(starts[step])
        if isinstance(step, int):
            times: Any = first + step * np.arange(len(values))
        else:
            times = pd.date_range(pd.Timestamp(first).floor("s").as_unit("us"), periods=len(values), freq=step)
        parts.append(pd.DataFrame({"unique_id": name, "ds": times, "y": [1.5, *values[1:]]}))
    return pd.concat(parts, ignore_index=True)


def read(path: Path, **options: Any) -> Series:
    read_series_again = SeriesSpec(path=str(path), **options)
    return read_series.fn(read_series_again)


def content(panel: Panel) -> dict[str, list[tuple[Any, float]]]:
    """The observed values of each series with their times."""
    ids = np.array(panel.ids, dtype=object)[panel.series_of(np.arange(len(panel.values)))]
    found: dict[str, list[tuple[Any, float]]] = {name: [] for name in panel.ids}
    for name, time, value, seen in zip(ids, panel.all_times(), panel.values, panel.observed, strict=True):
        if seen:
            found[name].append((time, value))
    return found


def given_content(table: pd.DataFrame) -> dict[str, list[tuple[Any, float]]]:
    known = table.dropna().sort_values(["unique_id", "ds"])
    times = known["ds"].to_numpy()
    rows = zip(known["unique_id"], times, known["y"], strict=True)
    found: dict[str, list[tuple[Any, float]]] = {}
    for name, time, value in rows:
        found.setdefault(name, []).append((time, value))
    return found


@repeatable
@given(table=tables(), order=st.randoms(use_true_random=False), ending=st.sampled_from([".csv", ".parquet"]))
def test_what_is_read_back_is_what_was_written_in_any_order(
    tmp_path: Path, table: pd.DataFrame, order: Any, ending: str
) -> None:
    rows = list(range(len(table)))
    order.shuffle(rows)
    write_forecast.fn(table.iloc[rows], str(tmp_path / f"f{ending}"))
    assert content(read(tmp_path / f"f{ending}").panel) == given_content(table)


@repeatable
@given(table=tables(), columns=st.permutations(["unique_id", "ds", "y", "note"]))
def test_the_order_and_the_number_of_the_columns_do_not_matter(
    tmp_path: Path, table: pd.DataFrame, columns: list[str]
) -> None:
    table = table.assign(note="x,\"y\"\n='z'")
    table[columns].to_csv(tmp_path / "f.csv", index=False)
    table[columns].to_parquet(tmp_path / "f.parquet")
    for path in (tmp_path / "f.csv", tmp_path / "f.parquet"):
        assert content(read(path).panel) == given_content(table)


# Windows and parts


@st.composite
def panels(draw: st.DrawFn, least: int = 12, most: int = 40, positive: bool = False) -> Panel:
    """One to three series of integer times, some values missing, none constant."""
    parts = []
    for n in range(draw(st.integers(1, 3))):
        kind = st.floats(0.01, 1e4) if positive else st.floats(-1e4, 1e4)
        values = np.array(draw(st.lists(kind, min_size=least, max_size=most)))
        values[:4] = [1, 2, 4, 3]
        missing = draw(st.lists(st.integers(5, len(values) - 1), max_size=4))
        values[missing] = np.nan
        parts.append(pd.DataFrame({"unique_id": f"s{n}", "ds": np.arange(len(values)), "y": values}))
    return panel_from_frame(pd.concat(parts), "last")[0]


windows = st.builds(
    WindowSpec,
    length=st.integers(1, 4),
    horizon=st.integers(1, 3),
    scale=st.sampled_from(["none", "standard", "robust"]),
    short=st.sampled_from(["leave_out", "pad"]),
)
splits = st.builds(SplitSpec, validation=st.sampled_from([0, 0.2, 3]), test=st.sampled_from([0.2, 3]))


@repeatable
@given(panel=panels(least=20), window=windows, split=splits)
def test_parts_follow_each_other_and_no_window_leaves_its_own(
    panel: Panel, window: WindowSpec, split: SplitSpec
) -> None:
    panel, parts, _ = split_for_windows(panel, split, window)
    assert (panel.starts < parts.train).all()
    assert (parts.train <= parts.validation).all()
    assert (parts.validation <= parts.test).all()
    assert (parts.test <= panel.ends).all()
    bounds = {"train": (panel.starts, parts.train), "test": (parts.validation, parts.test)}
    for begin, end in bounds.values():
        origins = origins_within(panel, begin, end, window.length, window.horizon)
        series = panel.series_of(origins - 1)
        assert (origins - window.length >= panel.starts[series]).all()
        assert (origins >= begin[series]).all()
        assert (origins + window.horizon <= end[series]).all()


# Scales

SCALES = [(scale, transform) for scale in ("none", "standard", "robust") for transform in ("none", "log", "difference")]


@repeatable
@pytest.mark.parametrize(("scale", "transform"), SCALES)
@given(data=st.data())
def test_unscaling_undoes_scaling_to_ten_digits(scale: Any, transform: Any, data: st.DataObject) -> None:
    """To ten digits of the largest value met on the way: changes are added up, and powers are taken of logarithms."""
    panel = data.draw(panels(positive=transform == "log"))
    window = WindowSpec(scale=scale, transform=transform)
    train = panel.starts + data.draw(st.integers(4, 12))
    scaled = fit_scaling(panel, train, window).scale(panel).values
    origins = panel.starts + 1
    steps = int((panel.ends - origins).min())
    answers = scaled[origins[:, None] + np.arange(steps)]  # [N, steps]
    found = fit_scaling(panel, train, window).unscale(panel, origins, answers)
    expected = panel.values[origins[:, None] + np.arange(steps)]
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10 * np.abs(panel.values).max())


# What a forecast may know

Predict = Callable[[Panel, np.ndarray], np.ndarray]
SMALL = {
    "elman": ElmanSpec(hidden=2, epochs=1),
    "numpy_rnn": NumpyRNNSpec(hidden=3, epochs=1, batch=8),
    "fit": FitSpec(epochs=1, batch=8),
}


def changed(panel: Panel, cutoff: int, values: list[float]) -> Panel:
    """The panel with other values from the point `cutoff` of each series on."""
    points = np.concatenate([np.arange(a + cutoff, b) for a, b in zip(panel.starts, panel.ends, strict=True)])
    new = panel.values.copy()
    new[points] = np.resize(values, len(points))
    return panel.with_values(new)


def same_before(predict: Predict, panel: Panel, other: Panel, cutoff: int, length: int) -> None:
    """Holds that no forecast from the cutoff, or from before, tells the panels apart by a single bit."""
    origins = np.concatenate([np.arange(start + length, start + cutoff + 1) for start in panel.starts])
    np.testing.assert_array_equal(predict(panel, origins), predict(other, origins), strict=True)


def dataset(panel: Panel, window: WindowSpec) -> Dataset:
    series = Series("s", panel, (), "0" * 64, "y", "s")
    return prepare_data.fn(series, window, SplitSpec(validation=8, test=8), 3, "test")


def trained(spec: ModelSpec, data: Dataset) -> Forecaster:
    forecaster = untrained(spec, data)
    scaled = forecaster.scaling.scale(data.panel, forecaster.network.dtype)
    for _ in forecaster.network.fit(scaled, data.origins["train"], data.origins.get("val")):
        pass
    return forecaster


others = st.lists(st.floats(0.1, 1e6), min_size=1, max_size=9)


@repeatable
@given(panel=panels(least=30), horizon=st.integers(1, 3), length=st.integers(1, 4), values=others, data=st.data())
def test_no_baseline_knows_what_comes(
    panel: Panel, horizon: int, length: int, values: list[float], data: st.DataObject
) -> None:
    cutoff = data.draw(st.integers(12, 25))
    other = changed(panel, cutoff, values)
    train = origins_within(panel, panel.starts, panel.starts + cutoff, length, 1)
    for name in BASELINES:
        first, second = (fit_baseline(name, known, train, length, horizon, 3) for known in (panel, other))
        same_before(first.predict, panel, other, cutoff, length)
        same_before(lambda known, origins, own=second: own.predict(panel, origins), panel, other, cutoff, length)
        np.testing.assert_array_equal(
            first.predict(panel, panel.starts + cutoff), second.predict(other, panel.starts + cutoff)
        )


models = st.builds(
    RecurrentSpec,
    hidden=st.integers(1, 5),
    layers=st.integers(1, 2),
    input_offset=st.sampled_from(["none", "last", "mean"]),
    target_offset=st.sampled_from(["none", "last", "mean", "season"]),
    window_scale=st.sampled_from(["training", "window"]),
    segment=st.integers(1, 2),
    highway=st.integers(0, 3),
)


@settings(repeatable, max_examples=25)
@given(
    panel=panels(least=40, most=50, positive=True),
    model=st.sampled_from(["rnn", "gru", "lstm"]),
    recurrent=models,
    horizon=st.integers(1, 3),
    scale=st.sampled_from(["none", "standard", "robust"]),
    transform=st.sampled_from(["none", "log", "difference"]),
    values=others,
    data=st.data(),
)
def test_no_recurrent_network_and_no_interval_knows_what_comes(
    panel: Panel, model: str, recurrent: RecurrentSpec, values: list[float], data: st.DataObject, **options: Any
) -> None:
    window = WindowSpec.model_validate({"length": 4, "short": "pad", **options})
    spec = ModelSpec(model=model, window=window, recurrent=recurrent, season=3, **SMALL)
    prepared = dataset(panel, window)
    forecaster = trained(spec, prepared)
    cutoff = data.draw(st.integers(5, 39))
    other = changed(panel, cutoff, values)
    same_before(forecaster.predict, panel, other, cutoff, 4)
    forecaster.intervals = calibrate(forecaster, prepared, 90, 5)
    ends = panel.starts + cutoff
    first, second = (forecaster.forecast_columns(known.head(ends), 5) for known in (panel, other))
    assert set(first) == set(forecaster.column_names())
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], strict=True)


@settings(repeatable, max_examples=25)
@given(panel=panels(least=40, most=50), values=others, data=st.data())
def test_a_training_sees_nothing_behind_its_parts(panel: Panel, values: list[float], data: st.DataObject) -> None:
    """Scales, weights and intervals come from training and validation; what the test part says changes no bit."""
    window = WindowSpec(length=4, horizon=2, short="pad")
    kind = data.draw(st.sampled_from(["gru", "numpy_rnn"]))
    if kind == "numpy_rnn":
        window = WindowSpec(length=4, short="pad")
    spec = ModelSpec(model=kind, window=window, recurrent=RecurrentSpec(hidden=2), season=3, **SMALL)
    prepared = dataset(panel, window)
    new = panel.values.copy()
    for start, end in zip(prepared.split.validation, prepared.split.test, strict=True):
        new[start:end] = np.resize(values, end - start)
    answers = []
    for known in (panel, panel.with_values(new)):
        data_now = dataset(known, window)
        forecaster = trained(spec, data_now)
        forecaster.intervals = calibrate(forecaster, data_now, 90, 4)
        answers.append(forecaster.forecast_columns(known.head(prepared.split.validation), 4))
    for name in answers[0]:
        np.testing.assert_array_equal(answers[0][name], answers[1][name], strict=True)


@settings(repeatable, max_examples=25)
@given(panel=panels(least=30), model=st.sampled_from(["elman", "numpy_rnn"]), values=others, data=st.data())
def test_neither_elman_nor_the_rnn_from_scratch_knows_what_comes(
    panel: Panel, model: str, values: list[float], data: st.DataObject
) -> None:
    panel = panel.select(np.array([0]))
    window = WindowSpec(length=4, short="pad")
    prepared = dataset(panel, window)
    forecaster = trained(ModelSpec(model=model, window=window, season=3, **SMALL), prepared)
    cutoff = data.draw(st.integers(5, 29))
    same_before(forecaster.predict, panel, changed(panel, cutoff, values), cutoff, 4)
    ends = panel.starts + cutoff
    first, second = (forecaster.extend(known, 5, ends) for known in (panel, changed(panel, cutoff, values)))
    np.testing.assert_array_equal(first, second, strict=True)


@repeatable
@given(panel=panels(least=30), values=others, cutoff=st.integers(12, 29), level=st.sampled_from([50, 90]))
def test_the_size_of_an_interval_comes_from_errors_that_were_known(
    panel: Panel, values: list[float], cutoff: int, level: int
) -> None:
    ends = panel.starts + cutoff
    sizes = []
    for known in (panel, changed(panel, cutoff, values)):
        origins = origins_within(known, known.starts, ends, 1, 1)
        actual = actual_values(known, origins, 3, ends)  # [M, 3]
        forecast = np.repeat(known.values[origins - 1, None], 3, axis=1)
        sizes.append(Intervals(level, fixed_half_widths(actual, forecast, np.ones(len(origins)), level)).sizes)
    np.testing.assert_array_equal(sizes[0], sizes[1], strict=True)

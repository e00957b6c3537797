"""Properties of every table, window and scale: nothing is lost, no window crosses a bound, nothing looks ahead."""

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
from models.intervals import fixed_half_widths
from models.specs import ElmanSpec, FitSpec, ModelSpec, NumpyRNNSpec, RecurrentSpec, SeriesSpec, SplitSpec, WindowSpec
from tasks.data.preparation import Dataset, prepare_data
from tasks.data.series import Series, read_series
from tasks.forecasting import write_forecast
from tasks.training import build_forecaster, calibrate
from tests.support.panels import cut_short

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
    """One to three series on a grid, of at least two values, some of them missing after the first."""
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
    return read_series.fn(SeriesSpec(path=str(path), **options))


def panel_content(panel: Panel) -> dict[str, list[tuple[Any, float]]]:
    """The observed values of each series with their times."""
    ids = np.array(panel.ids, dtype=object)[panel.series_of(np.arange(len(panel.values)))]
    values: dict[str, list[tuple[Any, float]]] = {name: [] for name in panel.ids}
    for name, time, value, observed in zip(ids, panel.all_times(), panel.values, panel.observed, strict=True):
        if observed:
            values[name].append((time, value))
    return values


def table_content(table: pd.DataFrame) -> dict[str, list[tuple[Any, float]]]:
    """The values of each series with their times."""
    present = table.dropna().sort_values(["unique_id", "ds"])
    rows = zip(present["unique_id"], present["ds"].to_numpy(), present["y"], strict=True)
    values: dict[str, list[tuple[Any, float]]] = {}
    for name, time, value in rows:
        values.setdefault(name, []).append((time, value))
    return values


@repeatable
@given(table=tables(), order=st.randoms(use_true_random=False), ending=st.sampled_from([".csv", ".parquet"]))
def test_a_table_written_in_any_order_is_read_back(
    tmp_path: Path, table: pd.DataFrame, order: Any, ending: str
) -> None:
    rows = list(range(len(table)))
    order.shuffle(rows)
    write_forecast.fn(table.iloc[rows], str(tmp_path / f"f{ending}"))
    assert panel_content(read(tmp_path / f"f{ending}").panel) == table_content(table)


@repeatable
@given(table=tables(), columns=st.permutations(["unique_id", "ds", "y", "note"]))
def test_the_order_and_the_number_of_the_columns_do_not_matter(
    tmp_path: Path, table: pd.DataFrame, columns: list[str]
) -> None:
    table = table.assign(note="x,\"y\"\n='z'")
    table[columns].to_csv(tmp_path / "f.csv", index=False)
    table[columns].to_parquet(tmp_path / "f.parquet")
    for path in (tmp_path / "f.csv", tmp_path / "f.parquet"):
        assert panel_content(read(path).panel) == table_content(table)


# Windows and parts


@st.composite
def panels(draw: st.DrawFn, least: int = 12, most: int = 40, positive: bool = False) -> Panel:
    """One to three series with integer times, some values missing, none constant."""
    parts = []
    for n in range(draw(st.integers(1, 3))):
        elements = st.floats(0.01, 1e4) if positive else st.floats(-1e4, 1e4)
        values = np.array(draw(st.lists(elements, min_size=least, max_size=most)))
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
@given(panel=panels(least=20), window=windows, spec=splits)
def test_parts_follow_each_other_and_no_window_leaves_its_part(
    panel: Panel, window: WindowSpec, spec: SplitSpec
) -> None:
    panel, split, _ = split_for_windows(panel, spec, window)
    assert (panel.starts < split.train).all()
    assert (split.train <= split.validation).all()
    assert (split.validation <= split.test).all()
    assert (split.test <= panel.ends).all()
    for begin, end in ((panel.starts, split.train), (split.validation, split.test)):
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
    """To ten digits of the largest value: differences are added up, and logarithms are raised to powers."""
    panel = data.draw(panels(positive=transform == "log"))
    window = WindowSpec(scale=scale, transform=transform)
    train = panel.starts + data.draw(st.integers(4, 12))
    scaled = fit_scaling(panel, train, window).scale(panel).values
    origins = panel.starts + 1
    steps = int((panel.ends - origins).min())
    forecasts = scaled[origins[:, None] + np.arange(steps)]  # [N, steps]
    unscaled = fit_scaling(panel, train, window).unscale(panel, origins, forecasts)
    expected = panel.values[origins[:, None] + np.arange(steps)]
    np.testing.assert_allclose(unscaled, expected, rtol=1e-10, atol=1e-10 * np.abs(panel.values).max())


# What a forecast may see

Predict = Callable[[Panel, np.ndarray], np.ndarray]
SMALL = {
    "elman": ElmanSpec(hidden=2, epochs=1),
    "numpy_rnn": NumpyRNNSpec(hidden=3, epochs=1, batch=8),
    "fit": FitSpec(epochs=1, batch=8),
}


def change_from(panel: Panel, cutoff: int, values: list[float]) -> Panel:
    """The panel with other values from the point `cutoff` of each series on."""
    points = np.concatenate([np.arange(a + cutoff, b) for a, b in zip(panel.starts, panel.ends, strict=True)])
    new = panel.values.copy()
    new[points] = np.resize(values, len(points))
    return panel.with_values(new)


def assert_same_forecasts(predict: Predict, panel: Panel, other: Panel, cutoff: int, length: int) -> None:
    """Forecasts of two panels from the cutoff and from before are the same to the bit."""
    origins = np.concatenate([np.arange(start + length, start + cutoff + 1) for start in panel.starts])
    np.testing.assert_array_equal(predict(panel, origins), predict(other, origins), strict=True)


def dataset(panel: Panel, window: WindowSpec) -> Dataset:
    series = Series("s", panel, (), "0" * 64, "y", "s")
    return prepare_data.fn(series, window, SplitSpec(validation=8, test=8), 3, "test")


def trained(spec: ModelSpec, data: Dataset) -> Forecaster:
    forecaster = build_forecaster(spec, data)
    scaled = forecaster.scaling.scale(data.panel, forecaster.network.dtype)
    for _ in forecaster.network.fit(scaled, data.origins["train"], data.origins.get("val")):
        pass
    return forecaster


new_values = st.lists(st.floats(0.1, 1e6), min_size=1, max_size=9)


@repeatable
@given(panel=panels(least=30), horizon=st.integers(1, 3), length=st.integers(1, 4), values=new_values, data=st.data())
def test_no_baseline_looks_ahead(
    panel: Panel, horizon: int, length: int, values: list[float], data: st.DataObject
) -> None:
    cutoff = data.draw(st.integers(12, 25))
    other = change_from(panel, cutoff, values)
    train = origins_within(panel, panel.starts, panel.starts + cutoff, length, 1)
    for name in BASELINES:
        first, second = (fit_baseline(name, one, train, length, horizon, 3) for one in (panel, other))
        assert_same_forecasts(first.predict, panel, other, cutoff, length)
        assert_same_forecasts(
            lambda _, origins, model=second: model.predict(panel, origins), panel, other, cutoff, length
        )
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
    values=new_values,
    data=st.data(),
)
def test_no_recurrent_network_and_no_interval_looks_ahead(
    panel: Panel, model: str, recurrent: RecurrentSpec, values: list[float], data: st.DataObject, **options: Any
) -> None:
    window = WindowSpec.model_validate({"length": 4, "short": "pad", **options})
    spec = ModelSpec(model=model, window=window, recurrent=recurrent, season=3, **SMALL)
    prepared = dataset(panel, window)
    forecaster = trained(spec, prepared)
    cutoff = data.draw(st.integers(5, 39))
    other = change_from(panel, cutoff, values)
    assert_same_forecasts(forecaster.predict, panel, other, cutoff, 4)
    forecaster.intervals = calibrate(forecaster, prepared, 90, 5)
    ends = panel.starts + cutoff
    first, second = (forecaster.forecast_panel(cut_short(one, ends), 5) for one in (panel, other))
    assert set(first) == set(forecaster.forecast_column_names())
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], strict=True)


@settings(repeatable, max_examples=25)
@given(panel=panels(least=40, most=50), values=new_values, data=st.data())
def test_a_training_does_not_see_the_test_part(panel: Panel, values: list[float], data: st.DataObject) -> None:
    """Scales, weights and intervals come from training and validation: the test part changes no bit of them."""
    window = WindowSpec(length=4, horizon=2, short="pad")
    model = data.draw(st.sampled_from(["gru", "numpy_rnn"]))
    if model == "numpy_rnn":
        window = WindowSpec(length=4, short="pad")
    spec = ModelSpec(model=model, window=window, recurrent=RecurrentSpec(hidden=2), season=3, **SMALL)
    prepared = dataset(panel, window)
    new = panel.values.copy()
    for start, end in zip(prepared.split.validation, prepared.split.test, strict=True):
        new[start:end] = np.resize(values, end - start)
    forecasts = []
    for changed in (panel, panel.with_values(new)):
        data_now = dataset(changed, window)
        forecaster = trained(spec, data_now)
        forecaster.intervals = calibrate(forecaster, data_now, 90, 4)
        forecasts.append(forecaster.forecast_panel(cut_short(changed, prepared.split.validation), 4))
    for name in forecasts[0]:
        np.testing.assert_array_equal(forecasts[0][name], forecasts[1][name], strict=True)


@settings(repeatable, max_examples=25)
@given(panel=panels(least=30), model=st.sampled_from(["elman", "numpy_rnn"]), values=new_values, data=st.data())
def test_neither_elman_nor_the_rnn_from_scratch_looks_ahead(
    panel: Panel, model: str, values: list[float], data: st.DataObject
) -> None:
    panel = panel.select(np.array([0]))
    window = WindowSpec(length=4, short="pad")
    prepared = dataset(panel, window)
    forecaster = trained(ModelSpec(model=model, window=window, season=3, **SMALL), prepared)
    cutoff = data.draw(st.integers(5, 29))
    assert_same_forecasts(forecaster.predict, panel, change_from(panel, cutoff, values), cutoff, 4)
    ends = panel.starts + cutoff
    first, second = (forecaster.extend(one, 5, ends) for one in (panel, change_from(panel, cutoff, values)))
    np.testing.assert_array_equal(first, second, strict=True)


@repeatable
@given(panel=panels(least=30), values=new_values, cutoff=st.integers(12, 29), level=st.sampled_from([50, 90]))
def test_the_half_width_of_an_interval_comes_from_known_errors(
    panel: Panel, values: list[float], cutoff: int, level: int
) -> None:
    ends = panel.starts + cutoff
    half_widths = []
    for one in (panel, change_from(panel, cutoff, values)):
        origins = origins_within(one, one.starts, ends, 1, 1)
        actual = actual_values(one, origins, 3, ends)  # [M, 3]
        forecast = np.repeat(one.values[origins - 1, None], 3, axis=1)  # [M, 3]
        half_widths.append(fixed_half_widths(actual, forecast, np.ones(len(origins)), level))
    np.testing.assert_array_equal(half_widths[0], half_widths[1], strict=True)

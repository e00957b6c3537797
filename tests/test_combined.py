"""Several networks and the baselines as one: a weighted mean, which is saved, and trained further."""

from pathlib import Path

import numpy as np
import pytest

from models.baselines import SeasonalNaive
from models.combined import Combined, inverse_error_weights
from models.data.panel import Panel, one_series
from models.data.scaling import fit_scaling
from models.data.windows import origins_within
from models.forecaster import Forecaster, build_network
from models.saving import load_forecaster, save_forecaster
from models.specs import FitSpec, ModelSpec, RecurrentSpec, WindowSpec

WINDOW = WindowSpec(length=6, horizon=2, transform="log")
SPEC = ModelSpec(
    model="combined",
    parts=("rnn", "gru", "lstm"),
    window=WINDOW,
    season=4,
    recurrent=RecurrentSpec(hidden=4),
    fit=FitSpec(epochs=2),
)


def panel() -> Panel:
    return one_series("s", np.exp(np.sin(np.arange(60) / 4)))


def combined(weights: list[float] | None = None) -> tuple[Forecaster, Combined]:
    """Return three untrained networks and the baselines as one, with these weights, and its network."""
    network = build_network(SPEC)
    assert isinstance(network, Combined)
    if weights:
        network.weights = np.array(weights)
    return Forecaster(SPEC, fit_scaling(panel(), panel().ends, WINDOW), network), network


@pytest.mark.parametrize(
    ("errors", "weights"),
    [
        ({"a": 1.0, "b": 4.0}, [0.8, 0.2]),
        ({"a": 1.0, "b": np.nan, "c": 1.0}, [0.5, 0, 0.5]),
        ({"a": 0.0, "b": 1.0}, [1, 0]),
        ({"a": 0.0, "b": 0.0, "c": 9.0}, [0.5, 0.5, 0]),
        ({"a": np.nan, "b": np.inf}, [0.5, 0.5]),
        ({"a": 1e-300, "b": 4e-300}, [0.8, 0.2]),
    ],
)
def test_weights_are_inverse_to_the_squared_errors(errors: dict[str, float], weights: list[float]) -> None:
    np.testing.assert_allclose(inverse_error_weights(errors), weights)


def test_before_the_weights_are_set_the_networks_count_alone_and_equally() -> None:
    forecaster, network = combined()
    origins = np.array([20, 40])
    scaled = forecaster.scaling.scale(panel(), np.float32)
    expected = np.mean([part.extend(scaled, 5, origins) for part in network.networks.values()], axis=0)
    np.testing.assert_allclose(network.extend(scaled, 5, origins), expected, rtol=1e-6)


def test_the_weight_of_a_baseline_alone_gives_its_forecast_back_in_the_units_of_the_series() -> None:
    forecaster, _ = combined([0, 0, 0, 0, 1, 0, 0])
    origins = np.array([20, 40])
    expected = SeasonalNaive(4, 2).extend(panel(), 9, origins)
    np.testing.assert_allclose(forecaster.extend(panel(), 9, origins), expected, rtol=1e-6)


def test_a_mean_is_between_its_parts() -> None:
    forecaster, network = combined([0.2, 0.2, 0.2, 0.2, 0.2, 0, 0])
    scaled, origins = forecaster.scaling.scale(panel(), np.float32), np.array([20, 40])
    parts = np.stack([part.extend(scaled, 5, origins) for part in list(network.parts.values())[:5]])
    np.testing.assert_allclose(network.extend(scaled, 5, origins), parts.mean(axis=0), rtol=1e-6)
    np.testing.assert_array_equal(network.predict(scaled, origins), network.extend(scaled, 2, origins))


def test_it_is_saved_and_read_back_with_the_same_bits(tmp_path: Path) -> None:
    forecaster, network = combined([0.1, 0.2, 0.2, 0.1, 0.2, 0.1, 0.1])
    network.fit_baselines(forecaster.scaling.scale(panel(), np.float32), np.arange(6, 58))
    save_forecaster(forecaster, tmp_path)
    again = load_forecaster(tmp_path)
    assert again.spec == forecaster.spec
    np.testing.assert_array_equal(again.extend(panel(), 5), forecaster.extend(panel(), 5))
    assert list(again.forecast_column_names()) == ["combined"]


def test_training_trains_every_network_and_fits_the_baselines() -> None:
    forecaster, network = combined()
    before = network.state()
    train = origins_within(panel(), panel().starts, panel().ends, 6, 2)
    epochs = list(network.fit(forecaster.scaling.scale(panel(), np.float32), train, None))
    assert len(epochs) == 3 * SPEC.fit.epochs
    after = network.state()
    assert set(after) == set(before)
    for part in (*SPEC.parts, "linear_ar", "holt_winters"):
        assert any((after[name] != before[name]).any() for name in after if name.startswith(f"{part}/"))
    np.testing.assert_array_equal(after["combined/weights"], before["combined/weights"])

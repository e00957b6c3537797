"""The median of several networks as one: it forecasts, is saved, and is trained further."""

from pathlib import Path

import numpy as np

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
    recurrent=RecurrentSpec(hidden=4),
    fit=FitSpec(epochs=2),
)


def panel() -> Panel:
    return one_series("s", np.exp(np.sin(np.arange(60) / 4)))


def combined() -> Forecaster:
    """Return the median of three untrained networks."""
    return Forecaster(SPEC, fit_scaling(panel(), panel().ends, WINDOW), build_network(SPEC))


def test_a_forecast_is_the_median_of_those_of_the_parts() -> None:
    forecaster, origins = combined(), np.array([20, 40])
    forecasts = []
    for model in SPEC.parts:
        spec = SPEC.model_copy(update={"model": model, "parts": ()})
        part = Forecaster(spec, forecaster.scaling, forecaster.network.parts[model])  # type: ignore[attr-defined]
        forecasts.append(part.extend(panel(), 5, origins))
    np.testing.assert_allclose(forecaster.extend(panel(), 5, origins), np.median(forecasts, axis=0), rtol=1e-6)
    assert np.ptp(forecasts, axis=0).min() > 0


def test_it_is_saved_and_read_back_with_the_same_bits(tmp_path: Path) -> None:
    forecaster = combined()
    save_forecaster(forecaster, tmp_path)
    again = load_forecaster(tmp_path)
    assert again.spec == forecaster.spec
    np.testing.assert_array_equal(again.extend(panel(), 5), forecaster.extend(panel(), 5))
    assert list(again.forecast_column_names()) == ["combined"]


def test_training_trains_every_part() -> None:
    forecaster = combined()
    before = forecaster.network.state()
    train = origins_within(panel(), panel().starts, panel().ends, 6, 2)
    epochs = list(forecaster.network.fit(forecaster.scaling.scale(panel(), np.float32), train, None))
    assert len(epochs) == 3 * SPEC.fit.epochs
    after = forecaster.network.state()
    assert set(after) == set(before)
    for model in SPEC.parts:
        assert any((after[name] != before[name]).any() for name in after if name.startswith(f"{model}/"))

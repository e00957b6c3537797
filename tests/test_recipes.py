"""The recipes reach their promised scores with the parameters of the catalogue."""

import statistics
from typing import Any

import pytest

from flows.catalogue import recipe_parameters
from flows.parameters import options_of
from flows.train import train
from models.specs import ModelSpec
from tasks.backtest.planning import plan_evaluation
from tasks.data.preparation import prepare_data
from tasks.data.series import read_series
from tasks.evaluation import evaluate
from tasks.training import build_forecaster


def scores(recipe: str, seed: int) -> dict[str, float]:
    """Train the only model of a recipe as the flow does, but without a server, and score it."""
    options: Any = options_of(train.fn).model_validate(recipe_parameters("train", recipe))
    data = prepare_data.fn(
        read_series.fn(options.series), options.window, options.split, options.season, options.free_run
    )
    settings = {name: getattr(options, name) for name in ("window", "recurrent", "fit", "elman", "numpy_rnn")}
    spec = ModelSpec(model=options.models[0], season=data.season, seed=seed, **settings)
    forecaster = build_forecaster(spec, data)
    scaled = forecaster.scaling.scale(data.panel, forecaster.network.dtype)
    for _ in forecaster.network.fit(scaled, data.origins["train"], data.origins.get("val")):
        pass
    return evaluate.fn(spec.model, forecaster, plan_evaluation.fn(data)).scores


def test_elman_sine_reaches_a_median_of_0_12_over_ten_seeds() -> None:
    assert statistics.median(scores("elman-sine", seed)["train_rmse"] for seed in range(10)) <= 0.12


@pytest.mark.parametrize("seed", range(5))
def test_numpy_rnn_sine_reaches_0_01(seed: int) -> None:
    assert scores("numpy-rnn-sine", seed)["val_rmse"] <= 0.01


@pytest.mark.parametrize(("recipe", "seed"), [("gru-sine", 0), ("gru-sine", 1), ("gru-cosine", 0)])
def test_the_gru_runs_free_for_a_thousand_steps(recipe: str, seed: int) -> None:
    free_run = scores(recipe, seed)
    assert free_run["free_run_rmse_100"] <= 0.002
    assert free_run["free_run_rmse_1000"] <= 0.005

"""The gate: figures that can be checked by hand, and a real registry."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.baselines import BASELINES
from models.data.panel import one_series
from models.data.windows import target_windows
from models.errors import InputError
from models.specs import GateSpec, ModelSpec, SeriesSpec, SplitSpec, WindowSpec
from tasks.backtest.planning import plan_evaluation
from tasks.data.preparation import Dataset, prepare_data
from tasks.data.series import Series
from tasks.evaluation import Evaluation, ModelResult, evaluate, evaluate_baselines
from tasks.gate import Verdict, champion_forecasts, decide, pass_gate, register_model
from tasks.tracking.forecasters import MODEL_ID, log_model
from tasks.tracking.registry import Version, champion_of, find_version, load_version, registered_name, tag_version
from tasks.tracking.runs import tracked_run
from tasks.tracking.tracker import TRACKER
from tasks.training import Training, build_forecaster


def dataset(points: int = 60, name: str = "load", horizon: int = 1) -> Dataset:
    """Return a noisy wave of 12 points a turn; the last ten points are the test part, the ten before validation."""
    random = np.random.default_rng(0)
    values = np.sin(np.arange(points) * np.pi / 6) + random.normal(0, 0.3, points)
    series = Series(name, one_series(name, values), (), "0" * 64, name, "made here")
    return prepare_data.fn(
        series, WindowSpec(length=4, horizon=horizon, scale="none"), SplitSpec(validation=10, test=10), 12, "test"
    )


def result(data: Dataset, seed: int = 0) -> ModelResult:
    """Record an untrained network as `train` records a trained one."""
    spec = ModelSpec(model="numpy_rnn", window=data.window, seed=seed)
    forecaster = build_forecaster(spec, data)
    with tracked_run("gate", "numpy_rnn", {}) as run:
        log_model(run.id, forecaster, data.series)
    return ModelResult(
        run.id, Training(forecaster, {}, 0.0), evaluate.fn("numpy_rnn", forecaster, plan_evaluation.fn(data))
    )


def wrong_by(data: Dataset, error: float) -> Evaluation:
    """Return the evaluation of a model that is always wrong by `error`."""
    actual = data.panel.values[data.origins["test"], None]
    return Evaluation({}, {"test": actual + error}, {}, np.empty((1, 0)), np.empty((1, 0)))


def test_all_rivals_must_be_beaten_by_the_margin() -> None:
    scores = {"challenger": 0.9, "last_value": 2.0, "champion": 1.0}
    assert decide(scores, ["last_value", "champion"], 0.05) == (
        True,
        "the test RMSE of 0.900 beats last_value (2.00) and champion (1.00) by more than 5 %",
    )
    assert decide(scores, ["last_value", "champion"], 0.2) == (
        False,
        "the test RMSE of 0.900 does not beat champion (1.00) by more than 20 %",
    )


@pytest.mark.parametrize("rival", [0.5, 0.0, float("nan")])
def test_an_equal_score_an_exact_rival_and_no_score_are_not_beaten(rival: float) -> None:
    assert not decide({"challenger": 0.5, "last_value": rival}, ["last_value"], 0.0)[0]
    assert not decide({"challenger": float("nan"), "last_value": 0.5}, ["last_value"], 0.0)[0]


def test_the_name_of_a_series_becomes_one_that_the_registry_accepts() -> None:
    assert registered_name("co2") == "co2"
    assert registered_name("../../etc/x") == "etc-x"
    assert registered_name("a@b/c:d é") == "a-b-c-d-é"
    assert registered_name("...") == "series"
    assert len(registered_name("x" * 10_000)) == 120


@pytest.fixture(scope="module")
def history(mlflow_folder: Path) -> list[Verdict]:
    """Pass four challengers one after the other: bad, good, a little better, much better."""
    data, verdicts = dataset(), []
    plan = plan_evaluation.fn(data)
    baselines = evaluate_baselines.fn(plan)
    for error in (9.0, 0.2, 0.199, 0.1):
        version = register_model.fn("made", result(data), data, SeriesSpec(path="load.csv", value="y"))
        verdicts.append(
            pass_gate.fn(version, wrong_by(data, error), baselines, plan_evaluation.fn(data), GateSpec(margin=0.01))
        )
    return verdicts


def test_the_first_champion_has_to_beat_the_baselines_alone(history: list[Verdict]) -> None:
    bad, first, *_ = history
    assert not bad.promoted
    assert bad.champion is None
    assert bad.scores["challenger"] == pytest.approx(9.0)
    assert first.promoted
    assert first.scores["challenger"] == pytest.approx(0.2)
    assert set(first.scores) == {"challenger", *BASELINES}


def test_later_challengers_have_to_beat_the_champion_on_the_same_points_as_well(history: list[Verdict]) -> None:
    _, first, second, third = history
    assert second.champion is not None
    assert second.champion.number == first.challenger.number == 2
    # The champion in the registry is an untrained network: its score on these points counts, not that of its promotion.
    data = dataset()
    rows, forecasts = champion_forecasts(second.champion, plan_evaluation.fn(data))
    assert len(rows) == 10
    actual = data.panel.values[data.origins["test"], None]
    assert second.scores["champion"] == pytest.approx(np.sqrt(np.mean((forecasts - actual) ** 2)))
    assert second.promoted
    assert third.promoted


def test_the_decision_and_its_reason_are_tags_of_the_version(history: list[Verdict], mlflow_folder: Path) -> None:
    kept_out = find_version("load/1").tags
    assert kept_out["gate"] == "kept out"
    assert "does not beat last_value" in kept_out["gate.reason"]
    promoted = find_version("load@champion")
    assert promoted.number == 4
    assert promoted.tags["gate"] == "promoted"
    assert promoted.tags["gate.champion_before"] == "load/3"
    assert promoted.trained_on["series"]["path"] == str(Path("load.csv").absolute())
    assert find_version("load@challenger").number == 4


def test_the_champion_is_loaded_as_it_was_trained(history: list[Verdict], mlflow_folder: Path) -> None:
    data, champion = dataset(), champion_of("load")
    assert champion is not None
    np.testing.assert_array_equal(
        load_version(champion).predict(data.panel, data.origins["test"]),
        result(data).evaluation.forecasts["test"],
    )


def test_the_linear_autoregression_is_a_rival_unless_the_recipe_says_otherwise(history: list[Verdict]) -> None:
    data = dataset(name="strict")
    baselines = evaluate_baselines.fn(plan_evaluation.fn(data))
    bound = baselines["linear_ar"].forecasts["test"] - data.panel.values[data.origins["test"], None]
    worse = float(np.sqrt(np.mean(bound**2))) * 1.1
    version = register_model.fn("made", result(data), data, SeriesSpec(path="load.csv"))
    strict = pass_gate.fn(version, wrong_by(data, worse), baselines, plan_evaluation.fn(data), GateSpec())
    lax = pass_gate.fn(version, wrong_by(data, worse), baselines, plan_evaluation.fn(data), GateSpec(linear_ar=False))
    assert lax.promoted
    assert not strict.promoted
    assert "linear_ar" in strict.reason


def having_seen(version: Version, until: str) -> Version:
    return replace(version, tags={"trained_on": json.dumps({**version.trained_on, "seen_until": until})})


def test_a_champion_is_compared_after_the_times_that_it_has_seen(history: list[Verdict], mlflow_folder: Path) -> None:
    champion = champion_of("load")
    assert champion is not None
    rows, forecasts = champion_forecasts(having_seen(champion, "55"), plan_evaluation.fn(dataset()))
    assert rows.tolist() == [6, 7, 8, 9]  # the points 56 to 59 of a test part that begins at 50
    assert forecasts.shape == (4, 1)


@pytest.mark.parametrize(("seen", "message"), [("59", "whole test part"), ("2024-01-01T00:00", "of another kind")])
def test_a_champion_that_cannot_be_compared_says_why(
    seen: str, message: str, history: list[Verdict], mlflow_folder: Path
) -> None:
    champion = champion_of("load")
    assert champion is not None
    with pytest.raises(InputError, match=message):
        champion_forecasts(having_seen(champion, seen), plan_evaluation.fn(dataset()))


def test_a_champion_of_another_head_is_compared_over_the_whole_horizon(
    history: list[Verdict], mlflow_folder: Path
) -> None:
    data = dataset(horizon=3)
    baselines = evaluate_baselines.fn(plan_evaluation.fn(data))
    version = register_model.fn("made", result_of_three(data), data, SeriesSpec(path="load.csv"))
    evaluation = result_of_three(data).evaluation
    verdict = pass_gate.fn(version, evaluation, baselines, plan_evaluation.fn(data), GateSpec())
    actual = target_windows(data.panel.values, data.origins["test"], 3)
    forecasts = baselines["last_value"].forecasts["test"]
    assert verdict.scores["last_value"] == pytest.approx(np.sqrt(np.mean((forecasts - actual) ** 2)))
    assert verdict.champion is not None
    champion = load_version(verdict.champion).extend(data.panel, 3, data.origins["test"])
    assert verdict.scores["champion"] == pytest.approx(np.sqrt(np.mean((champion - actual) ** 2)))


def result_of_three(data: Dataset) -> ModelResult:
    """Record an untrained recurrent network that forecasts three steps at once."""
    spec: Any = ModelSpec(model="gru", window=data.window)
    forecaster = build_forecaster(spec, data)
    with tracked_run("gate", "gru", {}) as run:
        log_model(run.id, forecaster, data.series)
    return ModelResult(run.id, Training(forecaster, {}, 0.0), evaluate.fn("gru", forecaster, plan_evaluation.fn(data)))


def test_without_a_test_part_nobody_is_promoted(history: list[Verdict], mlflow_folder: Path) -> None:
    series = dataset(name="short").series
    data = prepare_data.fn(series, WindowSpec(length=4), SplitSpec(validation=10, test=0), 12, "test")
    version = register_model.fn("made", result(data), data, SeriesSpec(path="load.csv"))
    verdict = pass_gate.fn(
        version,
        result(data).evaluation,
        evaluate_baselines.fn(plan_evaluation.fn(data)),
        plan_evaluation.fn(data),
        GateSpec(),
    )
    assert not verdict.promoted
    assert "no test part" in find_version("short/1").tags["gate.reason"]


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("nobody", "no model is registered as 'nobody'; there is load, short, strict"),
        ("short", "there is no short@champion; there is short@challenger, short/1 to short/1"),
        ("load/99", "there is no load/99; there is load@challenger, load@champion, load/1 to load/5"),
        ("load/x", "there is no load/x"),
        ("load@best", "there is no load@best"),
        (None, "there are 2 champions; name one with --model: load, strict"),
    ],
)
def test_an_unknown_model_is_refused_with_a_list_of_those_that_exist(
    reference: str | None, message: str, history: list[Verdict], mlflow_folder: Path
) -> None:
    with pytest.raises(InputError) as refused:
        find_version(reference)
    assert message in str(refused.value)


def test_a_champion_whose_files_were_altered_is_neither_used_nor_beaten(history: list[Verdict]) -> None:
    data = dataset(name="altered")
    baselines = evaluate_baselines.fn(plan_evaluation.fn(data))
    first = register_model.fn("made", result(data), data, SeriesSpec(path="load.csv"))
    assert pass_gate.fn(first, wrong_by(data, 0.01), baselines, plan_evaluation.fn(data), GateSpec()).promoted
    model_id = TRACKER.client().get_run(first.run_id).data.tags[MODEL_ID]
    (weights,) = Path("artifacts").glob(f"**/{model_id}/**/weights.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with pytest.raises(InputError, match=r"altered/1 is not used: weights\.safetensors was altered since it was saved"):
        load_version(first)
    second = register_model.fn("made", result(data), data, SeriesSpec(path="load.csv"))
    verdict = pass_gate.fn(second, wrong_by(data, 0.001), baselines, plan_evaluation.fn(data), GateSpec())
    assert not verdict.promoted
    assert "take the alias champion from it in MLflow" in verdict.reason
    assert str(champion_of("altered")) == str(first)


def test_a_champion_that_an_earlier_version_of_tidecast_registered_is_neither_used_nor_beaten(
    history: list[Verdict],
) -> None:
    data = dataset(name="older")
    baselines = evaluate_baselines.fn(plan_evaluation.fn(data))
    first = register_model.fn("made", result(data), data, SeriesSpec(path="load.csv"))
    assert pass_gate.fn(first, wrong_by(data, 0.01), baselines, plan_evaluation.fn(data), GateSpec()).promoted
    trained_on = {"series": {"path": "load.csv"}, "season": 12, "reads": 4, "answers": 1, "seen_until": "49"}
    tag_version(first, {"trained_on": json.dumps(trained_on)})
    second = register_model.fn("made", result(data), data, SeriesSpec(path="load.csv"))
    verdict = pass_gate.fn(second, wrong_by(data, 0.001), baselines, plan_evaluation.fn(data), GateSpec())
    assert not verdict.promoted
    assert verdict.reason == (
        "the champion, version 1, cannot be compared: older/1 was registered by an earlier version of Tidecast; name "
        "another version, or take the alias champion from it in MLflow and train again"
    )
    assert str(champion_of("older")) == str(first)


def test_a_gate_that_is_passed_again_decides_the_same(history: list[Verdict]) -> None:
    data = dataset(name="again")
    baselines = evaluate_baselines.fn(plan_evaluation.fn(data))
    verdicts = []
    for error in (0.01, 0.001):
        version = register_model.fn("made", result(data), data, SeriesSpec(path="load.csv"))
        verdicts += [
            pass_gate.fn(version, wrong_by(data, error), baselines, plan_evaluation.fn(data), GateSpec())
            for _ in range(2)
        ]
    assert [verdict.promoted for verdict in verdicts] == [True] * 4
    assert [str(verdict.champion) for verdict in verdicts] == ["None", "None", "again/1", "again/1"]
    assert verdicts[2].reason == verdicts[3].reason

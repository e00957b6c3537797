"""The scores of a backtest, on forecasts of known error, and the model that validation chooses."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from models.baselines import BASELINES
from models.data.panel import panel_from_frame
from models.specs import SplitSpec, WindowSpec
from tasks.backtest.drawing import evenly_spaced_origins, excerpt, plot_backtest, worst_series
from tasks.backtest.forecasting import RollingForecasts, forecast_with_baseline
from tasks.backtest.planning import BacktestPlan, plan_backtest
from tasks.backtest.recording import describe_backtest, summarize_backtest
from tasks.backtest.scoring import BacktestScores, score_backtest
from tasks.comparison import Choice
from tasks.data.preparation import prepare_data
from tasks.data.series import Series
from tasks.score_tables import backtest_columns, score_rows
from tasks.timing import Timer
from tasks.tracking.runs import TrackedRun
from tasks.training import Training


def ramps(*slopes: float, horizon: int | None = None, validation: int = 4, gap: int | None = None) -> BacktestPlan:
    """Series "a", "b" ... of 24 points with a slope each; the last 6 are tested 2 steps ahead.

    With season 1 the slope is what MASE divides by.
    """
    times = np.arange(24)
    tables = [
        pd.DataFrame({"unique_id": "abcdefgh"[number], "ds": times, "y": slope * times})
        for number, slope in enumerate(slopes)
    ]
    frame = pd.concat(tables, ignore_index=True).astype({"y": float})
    frame.loc[frame["ds"] == gap, "y"] = np.nan
    split = SplitSpec(validation=validation, test=6)
    return planned(frame, WindowSpec(length=3, horizon=2), split, 1, horizon)


def planned(
    frame: pd.DataFrame, window: WindowSpec, split: SplitSpec, season: int, horizon: int | None = None
) -> BacktestPlan:
    series = Series("s", panel_from_frame(frame, "last")[0], (), "", "y", "s")
    return plan_backtest.fn(prepare_data.fn(series, window, split, season, "test"), horizon, 1)


def seasonal(noise: float = 0.0) -> BacktestPlan:
    """Eight points ten times over as "a", and higher and with noise as "b"; the last 16 are tested 2 steps ahead.

    Without noise, a series repeats itself exactly and has no scale for MASE.
    """
    wave, random = np.tile([1.0, 2, 3, 4, 3, 2, 1, 0], 10), np.random.default_rng(0)
    tables = [
        pd.DataFrame({"unique_id": name, "ds": np.arange(80), "y": values})
        for name, values in (("a", wave), ("b", wave + 10 + random.normal(0, noise, 80)))
    ]
    return planned(pd.concat(tables), WindowSpec(length=8, horizon=2), SplitSpec(validation=16, test=16), 8)


def off_by(
    plan: BacktestPlan, validation: list[float], test: list[float], reach: float | None = None
) -> RollingForecasts:
    """Return forecasts that are too high by these errors, one for each series, with intervals of this half width."""
    panel, forecasts = plan.data.panel, {}
    errors = {"val": np.array(validation), "test": np.array(test)}
    for part, origins in plan.origins.items():
        points = np.minimum(origins[:, None] + np.arange(plan.horizon), len(panel.values) - 1)
        forecasts[part] = panel.values[points] + errors[part][plan.series(part), None]
    tested = forecasts["test"]
    return RollingForecasts(forecasts, None if reach is None else (tested - reach, tested + reach))


def rows_of(scores: BacktestScores) -> list[dict[str, str]]:
    """Return the rows of the table of scores."""
    return score_rows(scores.all, scores.chosen, backtest_columns(scores.all, scores.chosen_by))


def scored(plan: BacktestPlan, **models: RollingForecasts) -> BacktestScores:
    return score_backtest.fn(plan, models | {name: forecast_with_baseline.fn(name, plan) for name in BASELINES}, 90)


# Choice of the model


def test_for_one_series_the_validation_error_chooses_whatever_the_test_error_is() -> None:
    plan = ramps(1)
    scores = scored(plan, rnn=off_by(plan, [2], [1]), gru=off_by(plan, [1], [9]))
    assert (scores.choice.model, scores.chosen_by) == ("gru", "val_rmse")
    assert scores.models["gru"]["val_rmse"] == pytest.approx(1)
    assert scores.models["gru"]["test_rmse"] == pytest.approx(9)
    assert scores.models["rnn"]["test_rmse"] == pytest.approx(1)


def test_for_several_series_the_error_of_each_counts_in_its_own_scale() -> None:
    plan = ramps(1, 100)
    rnn = off_by(plan, [3, 100], [0, 0])  # MASE 3 and 1, RMSE about 71
    gru = off_by(plan, [1, 150], [9, 900])  # MASE 1 and 1.5, RMSE about 106
    scores = scored(plan, rnn=rnn, gru=gru)
    assert (scores.choice.model, scores.chosen_by) == ("gru", "val_mase")
    assert scores.models["rnn"]["val_mase"] == pytest.approx(2)
    assert scores.models["gru"]["val_mase"] == pytest.approx(1.25)
    assert scores.models["rnn"]["val_rmse"] == pytest.approx(np.sqrt((9 + 10_000) / 2))


def test_a_baseline_that_is_better_than_every_model_is_chosen() -> None:
    plan = ramps(1)
    scores = scored(plan, gru=off_by(plan, [1000], [1000]))
    assert (scores.chosen, scores.choice.model) == ("linear_ar", "gru")
    assert scores.baselines["linear_ar"]["val_rmse"] < 1e-9
    assert "* has the lowest validation RMSE of all." in describe_backtest(plan, scores)


def test_without_a_validation_part_the_first_model_is_taken() -> None:
    plan = ramps(1, validation=0)
    scores = scored(plan, rnn=off_by(plan, [0], [2]), gru=off_by(plan, [0], [1]))
    assert (scores.choice.model, scores.chosen_by) == ("rnn", None)
    assert {name.split("_")[0] for name in scores.models["rnn"]} == {"test"}
    rows = rows_of(scores)
    assert list(rows[0]) == ["model", "RMSE", "sMAPE", "MASE"]


def test_a_model_without_a_finite_score_is_not_chosen() -> None:
    plan = ramps(1)
    scores = scored(plan, rnn=off_by(plan, [np.nan], [0]), gru=off_by(plan, [5], [9]), lstm=off_by(plan, [6], [1]))
    assert (scores.choice.model, scores.chosen_by) == ("gru", "val_rmse")
    scores = scored(plan, rnn=off_by(plan, [np.nan], [2]), gru=off_by(plan, [np.nan], [1]))
    assert (scores.chosen, scores.choice.model, scores.chosen_by) == ("linear_ar", "rnn", "val_rmse")


def test_where_no_series_has_a_scale_the_first_model_is_taken() -> None:
    plan = seasonal()
    rnn, gru = off_by(plan, [2, 2], [2, 2], reach=5), off_by(plan, [1, 1], [1, 1], reach=5)
    scores = scored(plan, rnn=rnn, gru=gru)
    assert (scores.choice.model, scores.chosen_by) == ("rnn", None)
    assert np.isnan([metrics["val_mase"] for metrics in scores.all.values()]).all()
    assert scores.models["gru"]["val_rmse"] == pytest.approx(1)
    assert set(scores.skills) >= {"skill_last_value_val_rmse", "skill_last_value_test_rmse"}
    assert not any("mase" in name for name in scores.skills)
    assert not any("seasonal_naive" in name for name in scores.skills)  # it makes no error
    assert "* is the first model" in describe_backtest(plan, scores)
    rows = rows_of(scores)
    assert list(rows[0]) == ["model", "RMSE", "sMAPE", "MASE", "cover 90 %", "width 90 %"]
    assert {row["MASE"] for row in rows} == {"–"}


def test_a_series_without_a_scale_leaves_the_choice_to_the_others() -> None:
    plan = seasonal(noise=1.0)
    rnn, gru = off_by(plan, [1, 2], [2, 2]), off_by(plan, [9, 1], [1, 1])
    scores = scored(plan, rnn=rnn, gru=gru)
    assert (scores.choice.model, scores.chosen_by) == ("gru", "val_mase")
    assert scores.models["gru"]["val_mase"] == pytest.approx(1 / plan.mase_scales[1])
    assert list(worst_series(scores)) == ["b"]


def test_validation_is_scored_at_the_origins_with_all_their_steps_inside_it() -> None:
    plan = ramps(1)
    gru = off_by(plan, [1], [1])
    gru.forecasts["val"][-1] += 1000  # the last origin, whose second step is in the test part
    assert scored(plan, gru=gru).models["gru"]["val_rmse"] == pytest.approx(1)


def test_a_validation_part_shorter_than_the_horizon_is_scored_by_the_steps_it_holds() -> None:
    plan = ramps(1, horizon=5)
    assert plan.actual["val"].shape == (4, 5)
    gru = off_by(plan, [1], [1])
    gru.forecasts["val"][0] += 1  # four of its 4 + 3 + 2 + 1 steps
    assert scored(plan, gru=gru).models["gru"]["val_rmse"] == pytest.approx(np.sqrt((4 * 4 + 6 * 1) / 10))


# Scores


def test_a_model_and_the_last_value_are_scored_by_series_and_by_step() -> None:
    plan = ramps(1, 10)  # the last value is 1 and 2 slopes behind at the two steps
    scores = scored(plan, gru=off_by(plan, [0, 0], [3, 20], reach=5))
    by_series = scores.by_series.set_index(["unique_id", "model"])
    assert list(scores.by_series["unique_id"].unique()) == ["a", "b"]
    assert by_series.loc[("a", "gru"), "rmse"] == pytest.approx(3)
    assert by_series.loc[("b", "gru"), "mase"] == pytest.approx(2)
    assert by_series.loc[("b", "last_value"), "mae"] == pytest.approx(15)
    assert by_series.loc[("a", "last_value"), "mase"] == pytest.approx(1.5)
    by_step = scores.by_step.set_index(["step", "model"])
    assert list(scores.by_step["step"].unique()) == [1, 2]
    assert by_step.loc[(1, "last_value"), "mase"] == pytest.approx(1)
    assert by_step.loc[(2, "last_value"), "mase"] == pytest.approx(2)
    assert by_step.loc[(2, "gru"), "mae"] == pytest.approx((3 + 20) / 2)


def test_intervals_are_scored_where_a_model_has_them() -> None:
    plan = ramps(1, 10)
    scores = scored(plan, gru=off_by(plan, [0, 0], [3, 20], reach=5), rnn=off_by(plan, [1, 1], [1, 1]))
    assert scores.models["gru"]["test_coverage_90"] == pytest.approx(0.5)  # 3 is within 5, 20 is not
    assert scores.models["gru"]["test_width_90"] == pytest.approx(10)
    assert not any("coverage" in measure for measure in scores.models["rnn"] | scores.baselines["last_value"])


def test_gaps_are_not_scored() -> None:
    plan = ramps(1, gap=20)
    gru = off_by(plan, [1], [1])
    gru.forecasts["test"][plan.origins["test"][:, None] + np.arange(2) == 20] = 1e6
    assert scored(plan, gru=gru).models["gru"]["test_mae"] == pytest.approx(1)


def test_mase_is_scaled_by_all_changes_before_the_test_part_and_intervals_by_those_of_training() -> None:
    slopes = np.repeat([1.0, 3.0, 50.0], [13, 4, 6])  # from point to point, in training, validation and test
    frame = pd.DataFrame({"unique_id": "a", "ds": np.arange(24), "y": np.cumsum([0, *slopes])})
    series = Series("s", panel_from_frame(frame, "last")[0], (), "", "y", "s")
    data = prepare_data.fn(series, WindowSpec(length=3), SplitSpec(validation=4, test=6), 1, "test")
    plan = plan_backtest.fn(data, None, 1)
    assert plan.mase_scales.tolist() == pytest.approx([(13 * 1 + 4 * 3) / 17])
    assert plan.interval_scales().tolist() == [1]
    assert scored(plan, gru=off_by(plan, [5], [5])).models["gru"]["test_mase"] == pytest.approx(5 / (25 / 17))


def test_skill_is_over_each_baseline_with_an_error() -> None:
    baselines = {"last_value": {"val_rmse": 4.0, "test_rmse": 8.0, "test_mase": 2.0}, "linear_ar": {"test_rmse": 0.0}}
    chosen = {"val_rmse": 1.0, "test_rmse": 2.0, "test_mase": 3.0}
    models = {"gru": chosen, "rnn": {"val_rmse": 9.0, "test_rmse": 9.0, "test_mase": 9.0}}
    scores = BacktestScores(models, baselines, pd.DataFrame(), pd.DataFrame(), Choice("gru", "val_rmse", "linear_ar"))
    assert scores.skills == {
        "skill_last_value_val_rmse": 0.75,
        "skill_last_value_test_rmse": 0.75,
        "skill_last_value_test_mase": -0.5,
    }


def test_the_worst_series_of_the_chosen_model_come_first() -> None:
    plan = ramps(*[1] * 8)
    gru = off_by(plan, [0] * 8, [3, 1, 4, 1.5, 5, 9, 2, 6])
    rnn = off_by(plan, [2] * 8, [8, 7, 6, 5, 4, 3, 2, 1])
    worst = worst_series(scored(plan, gru=gru, rnn=rnn))
    assert list(worst) == ["f", "h", "e", "c", "a", "g"]
    assert list(worst.values()) == pytest.approx([9, 6, 5, 4, 3, 2])


# What a person reads


def test_a_star_marks_the_chosen_and_the_measure_that_chose_comes_first() -> None:
    plan = ramps(1)
    scores = scored(plan, rnn=off_by(plan, [2], [1]), gru=off_by(plan, [0], [9], reach=10))
    rows = rows_of(scores)
    assert [row["model"] for row in rows] == ["rnn", "gru *", *BASELINES]
    assert list(rows[0]) == ["model", "val RMSE", "RMSE", "sMAPE", "MASE", "cover 90 %", "width 90 %"]
    assert [float(rows[1][name]) for name in ("val RMSE", "RMSE", "width 90 %")] == [0, 9, 20]
    assert scores.models["gru"]["test_mae"] == pytest.approx(9)  # kept, but not shown


def test_a_person_reads_the_coverage_in_percent() -> None:
    plan = ramps(1, 10)  # five origins of two steps each
    gru = off_by(plan, [0, 0], [3, 20], reach=5)
    scores = scored(plan, gru=gru, rnn=off_by(plan, [1, 1], [1, 1]))
    rows = rows_of(replace(scores, choice=Choice(scores.chosen, None, None)))
    assert [row["cover 90 %"] for row in rows] == ["50.0 %", *["–"] * (1 + len(BASELINES))]


def test_the_description_counts_the_series_with_an_origin() -> None:
    lengths = {"a": 40, "b": 20, "c": 36}  # of which 10, 5 and 9 are tested
    frame = pd.concat([pd.DataFrame({"unique_id": id_, "ds": np.arange(n)}) for id_, n in lengths.items()])
    window = WindowSpec(length=3, horizon=2, short="leave_out")
    split = SplitSpec(validation=4, test=0.25)
    for horizon, origins, series in ((5, 6 + 1 + 5, 3), (6, 5 + 4, 2), (10, 1, 1)):
        plan = planned(frame.assign(y=frame["ds"] * 2.0), window, split, 1, horizon)
        gru = off_by(plan, [0, 0, 0], [1, 1, 1], reach=2)
        rolling = {"gru": gru} | {name: forecast_with_baseline.fn(name, plan) for name in BASELINES}
        scores = score_backtest.fn(plan, rolling, 90)
        of_series = f" of {series} series" if series > 1 else ""
        counts = (
            f"{horizon} steps ahead from {origins} origin{'s' * (origins > 1)}{of_series}, in the series' own units; "
        )
        assert describe_backtest(plan, scores) == f"{counts}* has the lowest validation MASE of the models."
        timings, training = Timer(), {"gru": Training(None, {}, 2.0)}
        timings.steps["forecast", "gru"] = 3.0
        summary = summarize_backtest(
            "custom", "s", TrackedRun("0", {"gru": "1"}), plan, training, scores, None, timings, {}
        )
        assert (summary["series"], summary["origins"], summary["models"]["gru"]["seconds"]) == (series, origins, 5.0)
        assert len(scores.by_series) == series * len(rolling)
        assert len(worst_series(scores)) == series
        assert len(plot_backtest.fn(plan, rolling, scores, 90)) == 3


def test_several_series_have_a_figure_of_the_worst_where_there_is_a_mase() -> None:
    one, many = ramps(1), ramps(1, 10)
    for plan, expected in ((one, set()), (many, {"worst_series"}), (seasonal(), set())):
        count = len(plan.data.panel.ids)
        gru = off_by(plan, [1.0] * count, [1.0] * count, reach=2)
        rolling = {"gru": gru} | {name: forecast_with_baseline.fn(name, plan) for name in BASELINES}
        figures = plot_backtest.fn(plan, rolling, score_backtest.fn(plan, rolling, 90), 90)
        assert set(figures) == {"error_by_step", "forecasts"} | expected


def test_the_forecasts_that_are_drawn_are_spread_over_the_test_part() -> None:
    assert evenly_spaced_origins(ramps(1, 10)).tolist() == [0, 2, 4, 5, 7, 9]
    assert evenly_spaced_origins(ramps(1, horizon=6)).tolist() == [0]


def test_a_forecast_is_drawn_with_its_past_and_the_actual_values() -> None:
    plan = ramps(1, 10, gap=17)
    rolling = {
        "gru": off_by(plan, [0, 0], [1, 1], reach=2),
        "seasonal_naive": forecast_with_baseline.fn("seasonal_naive", plan),
    }
    drawn = excerpt(plan, rolling, "gru", 5)  # the first of the second series, from time 18 on
    assert drawn.label == "b, from 17"
    assert drawn.context_times.tolist() == list(range(18))
    np.testing.assert_array_equal(drawn.context, [*np.arange(0.0, 170, 10), np.nan])
    assert drawn.times.tolist() == [18, 19]
    assert drawn.actual.tolist() == [180, 190]
    assert drawn.forecast.tolist() == [181, 191]
    assert drawn.low is not None
    assert drawn.low.tolist() == [179, 189]
    assert drawn.baselines["seasonal_naive"].tolist() == [160, 160]  # the last observed value

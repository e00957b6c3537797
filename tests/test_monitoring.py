"""Past forecasts, scored on the actual values and assessed, with numbers that can be checked by hand."""

import numpy as np
import pandas as pd
import pytest

from models.data.panel import panel_from_frame
from models.errors import InputError
from tasks.data.series import Series
from tasks.monitoring import assess_health, latest_score_rows, score_forecasts
from tasks.tracking.registry import Version

DAY = pd.Timestamp("2024-05-01")
CHAMPION = Version("load", 2, "0", {})


def forecast(run_id: str, hour: int, errors: list[float], naive_error: float, version: int = 2) -> pd.DataFrame:
    """Return a forecast from an hour on of a series whose value is its hour, with an error for each step."""
    cutoff = DAY + pd.Timedelta(hour, "h")
    hours = np.arange(hour + 1, hour + 1 + len(errors))
    return pd.DataFrame(
        {
            "unique_id": "load",
            "cutoff": cutoff,
            "ds": DAY + pd.to_timedelta(hours, "h"),
            "model": hours + np.array(errors),
            "last_value": hours + 3.0,
            "seasonal_naive": hours + naive_error,
            "run_id": run_id,
            "version": version,
        }
    )


def actuals(hours: int, gaps: tuple[int, ...] = ()) -> Series:
    values = np.arange(hours, dtype=float)
    values[list(gaps)] = np.nan
    frame = pd.DataFrame({"unique_id": "load", "ds": DAY + pd.to_timedelta(np.arange(hours), "h"), "y": values})
    return Series("load", panel_from_frame(frame, "last")[0], (), "", "load", "load")


def test_a_forecast_is_scored_on_the_points_with_an_actual_value() -> None:
    scores = score_forecasts.fn(forecast("a", 4, [3.0, 4.0, 100.0], 5.0), actuals(7))  # hours 5 and 6 are known
    (row,) = scores.to_dict("records")
    assert (row["points"], row["version"], row["cutoff"]) == (2, 2, DAY + pd.Timedelta(4, "h"))
    assert row["model"] == pytest.approx(np.sqrt((9 + 16) / 2))
    assert row["last_value"] == pytest.approx(3)
    assert row["seasonal_naive"] == pytest.approx(5)


def test_a_filled_value_is_not_an_actual_value() -> None:
    scores = score_forecasts.fn(forecast("a", 4, [1.0, 50.0, 1.0], 1.0), actuals(8, gaps=(6,)))
    assert scores["points"].tolist() == [2]
    assert scores["model"].tolist() == [1.0]


def test_forecasts_are_in_order_of_time_and_the_longest_from_one_cutoff_counts() -> None:
    made = [forecast("c", 4, [2.0], 1.0), forecast("b", 4, [7.0, 7.0], 1.0), forecast("a", 2, [1.0], 1.0)]
    scores = score_forecasts.fn(pd.concat(made, ignore_index=True), actuals(9))
    assert scores["run_id"].tolist() == ["a", "b"]


def test_nothing_is_scored_before_an_actual_value_is_known() -> None:
    scores = score_forecasts.fn(forecast("a", 8, [1.0], 1.0), actuals(9))
    assert len(scores) == 0
    assert latest_score_rows(scores) == []
    health = assess_health(scores, CHAMPION, 0.0, 5)
    assert (health.state, health.scores) == ("unknown", {})


def test_times_of_another_kind_are_refused() -> None:
    table = forecast("a", 2, [1.0], 1.0).assign(ds=3)
    with pytest.raises(InputError, match="count time"):
        score_forecasts.fn(table, actuals(9))


def scored(*rows: tuple[int, int, float, float]) -> pd.DataFrame:
    """Return scores of forecasts: version, points, RMSE of the model and of the seasonal naive."""
    table = pd.DataFrame(rows, columns=["version", "points", "model", "seasonal_naive"])
    return table.assign(last_value=1.0, cutoff=DAY, run_id="x")


def test_forecasts_are_pooled_by_their_points() -> None:
    health = assess_health(scored((2, 1, 2.0, 4.0), (2, 3, 1.0, 4.0)), CHAMPION, 0.0, 5)
    assert health.scores["rmse"] == pytest.approx(np.sqrt((4 + 3 * 1) / 4))
    assert health.scores["skill"] == pytest.approx(1 - np.sqrt(7 / 4) / 4)
    assert health.state == "good"


def test_only_the_latest_forecasts_of_the_champion_count() -> None:
    history = scored((1, 1, 9.0, 1.0), (2, 1, 9.0, 1.0), (2, 1, 0.5, 1.0), (1, 1, 9.0, 1.0), (2, 1, 0.5, 1.0))
    health = assess_health(history, CHAMPION, 0.0, 2)
    assert health.scores["skill"] == pytest.approx(0.5)
    assert assess_health(history, CHAMPION, 0.0, 3).state == "degraded"


@pytest.mark.parametrize(("bound", "health"), [(0.5, "good"), (0.51, "degraded")])
def test_a_skill_below_the_bound_is_an_alarm(bound: float, health: str) -> None:
    assert assess_health(scored((2, 1, 0.5, 1.0)), CHAMPION, bound, 5).state == health


def test_no_model_beats_an_exact_seasonal_naive() -> None:
    assert assess_health(scored((2, 1, 0.5, 0.0)), CHAMPION, 0.0, 5).state == "degraded"
    assert assess_health(scored((2, 1, 0.0, 0.0)), CHAMPION, 0.0, 5).state == "good"

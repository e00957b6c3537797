"""The figures of forecasts beyond the end of a series, and of the scores of past ones."""

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox

from tasks import plots
from tasks.plots.style import BLUE, GREY, ORANGE
from tests.test_plots import LONG, draw, overlap, panel_boxes, points, shown_texts, title_of

HOURS = np.datetime64("2024-03-28", "us") + np.arange(200) * np.timedelta64(1, "h")
DAYS = np.datetime64("2024-03-28", "us") + np.arange(40) * np.timedelta64(1, "D")
VERSIONS = ["1"] * 10 + ["2"] * 12 + ["3"] + ["4"] * 17


def make_forecast(known: int, steps: int, model: str = "gru", unit: str = "value") -> Figure:
    """Draw hours with a daily season, and a model 0.5 above the seasonal naive."""
    wave, last = np.sin(np.arange(known + steps) * np.pi / 12), np.sin((known - 1) * np.pi / 12)
    paths = {model: wave[known:] + 0.5, "seasonal_naive": wave[known:], "last_value": np.full(steps, last)}
    times = HOURS[0] + np.arange(known + steps) * np.timedelta64(1, "h")
    return plots.forecast(model, times[:known], wave[:known], times[known:], paths, unit)


def make_skill(cutoffs: npt.NDArray[Any], model: str = "gru", unit: str = "value", **options: Any) -> Figure:
    """A model whose RMSE grows from 0.5 to 1.5 while that of the seasonal naive stays 1, as its skill falls to -0.5."""
    ones = np.ones(len(cutoffs))
    rmse = {model: np.linspace(0.5, 1.5, len(cutoffs)), "seasonal_naive": ones, "last_value": 2 * ones}
    return plots.skill(model, cutoffs, rmse, 0.1, unit, **options)


def make_all() -> dict[str, Figure]:
    gaps = np.where(np.arange(48) % 5 == 4, np.nan, np.arange(48.0))
    return {
        "forecast": make_forecast(96, 48),
        "one step": make_forecast(96, 1),
        "one point, one step": make_forecast(1, 1),
        "long horizon": make_forecast(96, 20_000),
        "gaps": plots.forecast("gru", np.arange(48), gaps, np.arange(48, 50), {"gru": np.array([48, np.nan])}, "value"),
        "nothing known": plots.forecast("gru", HOURS[:2], gaps[[4, 9]], HOURS[2:3], {"gru": np.array([1])}, "value"),
        "long names": make_forecast(48, 48, LONG, LONG),
        "skill": make_skill(DAYS, versions=VERSIONS),
        "skill at integers": make_skill(np.arange(1000, 1040)),
        "one score": make_skill(DAYS[:1], versions=["1"]),
        "one score at an integer": make_skill(np.arange(1000, 1001)),
        "two scores": make_skill(DAYS[:2], versions=["1", "2"]),
        "a version a day": make_skill(DAYS, versions=[str(day) for day in range(40)]),
        "skill of long names": make_skill(DAYS, LONG, LONG, versions=VERSIONS),
    }


@pytest.fixture(scope="module")
def figures() -> dict[str, Figure]:
    return draw(make_all())


def line_of(figure: Figure, label: str) -> Line2D:
    (line,) = [line for ax in figure.axes for line in ax.lines if line.get_label() == label]
    return line


def heights(line: Line2D) -> list[float]:
    return [y for _, y in points(line)]


def labels_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_title_legend_and_panels_lie_apart_and_inside_the_figure(figures: dict[str, Figure]) -> None:
    for name, figure in figures.items():
        head = [title_of(figure).get_window_extent(), figure.legends[0].get_window_extent()]
        frame = figure.bbox.padded(2)
        boxes = [*head, *panel_boxes(figure), *(text.get_window_extent() for text in figure.texts)]
        assert not any(
            overlap(one, other) for one, other in itertools.combinations([*head, *panel_boxes(figure)], 2)
        ), name
        assert all(np.array_equal(Bbox.union([box, frame]).extents, frame.extents) for box in boxes), name
        assert all(float(text.get_fontsize()) >= 11 for text in shown_texts(figure)), name


def test_forecasts_begin_at_the_last_known_value() -> None:
    known = np.array([1.0, 2.0, 3.0, np.nan])
    paths = {"gru": np.array([5.0, 6.0]), "last_value": np.array([3.0, 3.0])}
    figure = plots.forecast("gru", np.arange(4), known, np.arange(4, 6), paths, "value")
    assert points(line_of(figure, "gru")) == [(2, 3), (4, 5), (5, 6)]
    assert points(line_of(figure, "last_value")) == [(2, 3), (4, 3), (5, 3)]
    assert [x for x, _ in points(line_of(figure, "cutoff"))] == [3, 3]


def test_forecasts_of_a_series_without_a_known_value_begin_at_their_first_step() -> None:
    figure = plots.forecast(
        "gru", np.arange(1), np.array([np.nan]), np.arange(1, 3), {"gru": np.array([5, 6])}, "value"
    )
    assert points(line_of(figure, "gru")) == [(1, 5), (2, 6)]


def test_the_model_is_blue_and_thick_and_baselines_are_grey_and_thin_each_with_its_own_dashes() -> None:
    model, *baselines = make_forecast(96, 48).axes[0].lines[1:4]
    assert (model.get_color(), model.get_linestyle()) == (BLUE, "-")
    assert [line.get_color() for line in baselines] == [GREY, GREY]
    assert all(line.get_linewidth() < model.get_linewidth() for line in baselines)
    assert len({str(line._unscaled_dash_pattern) for line in baselines}) == 2  # type: ignore[attr-defined]


def test_the_title_of_a_forecast_has_the_number_of_steps() -> None:
    assert title_of(make_forecast(96, 48)).get_text() == "gru: 48 steps ahead"
    assert title_of(make_forecast(96, 1)).get_text() == "gru: 1 step ahead"


def test_of_a_long_horizon_the_first_1000_steps_are_shown_and_the_title_says_so(figures: dict[str, Figure]) -> None:
    figure = figures["long horizon"]
    assert title_of(figure).get_text() == "gru: 20,000 steps ahead, the first 1,000 shown"
    assert len(points(line_of(figure, "gru"))) == 1001


def test_one_step_and_one_point_are_dots(figures: dict[str, Figure]) -> None:
    lines = figures["one point, one step"].axes[0].lines
    assert [line.get_marker() for line in lines[:4]] == ["o"] * 4
    assert figures["forecast"].axes[0].lines[1].get_marker() == ""


def test_skill_is_one_less_the_ratio_to_the_seasonal_naive() -> None:
    rmse = {"gru": np.array([1.0, 2.0, 3.0]), "last_value": np.ones(3), "seasonal_naive": np.array([2.0, 2.0, 2.0])}
    figure = plots.skill("gru", np.arange(3), rmse, 0.1, "value")
    assert heights(figure.axes[1].lines[0]) == [0.5, 0.0, -0.5]
    assert heights(line_of(figure, "gru")) == [1, 2, 3]


def test_missing_scores_and_a_baseline_without_error_are_gaps_in_the_skill() -> None:
    rmse = {"gru": np.array([1.0, np.nan, 1.0, 1.0]), "seasonal_naive": np.array([2.0, 2.0, np.nan, 0.0])}
    gain = plots.skill("gru", np.arange(4), rmse, 0.1, "value").axes[1].lines[0]
    assert heights(gain) == pytest.approx([0.5, np.nan, np.nan, np.nan], nan_ok=True)


def test_the_rmse_begins_at_zero() -> None:
    assert make_skill(DAYS).axes[0].get_ylim()[0] == 0
    assert make_skill(DAYS).axes[0].get_yscale() == "linear"


def test_skill_below_the_bound_is_orange_and_skill_at_the_bound_is_not() -> None:
    rmse = {"gru": np.array([1.0, 1.5, 2.0, np.nan]), "seasonal_naive": np.full(4, 2.0)}  # skill 0.5, 0.25, 0 and a gap
    figure = plots.skill("gru", np.arange(4), rmse, 0.25, "value")
    assert points(line_of(figure, "below the bound")) == [(2, 0)]
    assert line_of(figure, "below the bound").get_color() == ORANGE
    assert heights(line_of(figure, "bound: 0.25")) == [0.25, 0.25]
    assert heights(line_of(figure, "as good as the seasonal naive")) == [0, 0]


def test_where_no_skill_is_below_the_bound_the_legend_does_not_mention_it() -> None:
    figure = plots.skill("gru", np.arange(2), {"gru": np.ones(2), "seasonal_naive": np.full(2, 2.0)}, 0.5, "value")
    assert labels_of(figure) == ["gru", "seasonal_naive", "as good as the seasonal naive", "bound: 0.5"]


def test_a_new_version_is_a_dotted_line_midway_between_two_cutoffs() -> None:
    figure = make_skill(np.arange(0, 60, 10), versions=["1", "1", "2", "2", "2", "3"])
    for ax in figure.axes:
        assert [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == ":"] == [45, 15]
    assert [text.get_text() for text in figure.axes[0].texts] == ["version 3", "version 2"]


def test_without_versions_or_with_a_single_one_nothing_is_marked() -> None:
    for versions in (None, ["7"] * 40):
        figure = make_skill(DAYS, versions=versions)
        assert not any(line.get_linestyle() == ":" for line in figure.axes[1].lines)
        assert not figure.axes[0].texts


def test_labels_of_versions_do_not_overlap_and_the_newest_has_one(figures: dict[str, Figure]) -> None:
    for name, newest in (("skill", "version 4"), ("a version a day", "version 39")):
        texts = figures[name].axes[0].texts
        boxes = [text.get_window_extent() for text in texts]
        assert not any(overlap(one, other) for one, other in itertools.combinations(boxes, 2))
        assert texts[0].get_text() == newest
        assert len(texts) >= 2


def test_a_single_score_has_a_dot_and_its_cutoff_as_the_only_tick(figures: dict[str, Figure]) -> None:
    for name, tick in (("one score", "2024-03-28 00:00"), ("one score at an integer", "1,000")):
        low = figures[name].axes[1]
        assert [label.get_text() for label in low.get_xticklabels()] == [tick]
        assert low.lines[0].get_marker() == "o"


def test_scores_of_past_forecasts_are_counted_in_the_title() -> None:
    assert title_of(make_skill(DAYS)).get_text() == "gru: scores of 40 past forecasts"
    assert title_of(make_skill(DAYS[:1])).get_text() == "gru: scores of 1 past forecast"


def test_a_dollar_sign_in_a_name_of_a_legend_is_a_dollar_sign() -> None:
    for figure in (
        make_forecast(10, 10, "$\\b$", "$\\b$"),
        make_skill(DAYS, "$\\b$", "$\\b$", versions=["$\\b$"] * 40),
    ):
        figure.canvas.draw()  # raises where "$\b$" is taken for mathematics

"""The figures of a test part: error by step ahead, single forecasts beside the actual values, and intervals."""

import dataclasses
import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from tasks import plots
from tasks.plots import Excerpt
from tasks.plots.style import BLUE, COLOURS, GREY
from tests.test_forecast_plots import heights, labels_of, line_of
from tests.test_plots import LONG, draw, overlap, panel_boxes, points, shown_texts, title_of

START = np.datetime64("2024-01-28", "us")
NOWHERE, WIDE = "$\\b$ " + "x" * 195, "W" * 200


def make_errors(steps: int) -> dict[str, npt.NDArray[np.float64]]:
    """Two models whose error grows from 0.5 on, and three baselines."""
    ahead = np.arange(1, steps + 1) / steps
    model = {"gru": 0.5 + 0.3 * ahead, "lstm": 0.6 + 0.1 * ahead}
    return model | {"last_value": 1 + ahead, "seasonal_naive": np.ones(steps), "linear_ar": 0.7 + 0.5 * ahead}


def make_steps(steps: int, **options: Any) -> Figure:
    return plots.error_by_step("gru", make_errors(steps), ["gru", "lstm"], "MW", **options)


def make_excerpt(label: str, known: int = 72, steps: int = 24, *, dated: bool = True, scale: float = 1) -> Excerpt:
    """Return hours with a daily season, and a model 0.5 above it with an interval of 0.25 to either side."""
    wave, ahead = scale * np.sin(np.arange(known + steps) * np.pi / 12), np.arange(known, known + steps)
    times = START + np.arange(known + steps) * np.timedelta64(1, "h") if dated else np.arange(known + steps)
    middle = wave[ahead] + 0.5 * scale
    ends = middle - 0.25 * scale, middle + 0.25 * scale
    baselines = {"last_value": np.full(steps, wave[known - 1]), "seasonal_naive": wave[ahead]}
    return Excerpt(label, times[:known], wave[:known], times[known:], wave[ahead], middle, *ends, baselines)


def make_excerpts(*excerpts: Excerpt) -> Figure:
    return plots.excerpts("gru: forecasts", list(excerpts), "gru", "MW", 0.9)


def make_interval(steps: int, low: Any, high: Any, level: float | None = 0.9) -> Figure:
    """A forecast of ones after four ones."""
    times = np.arange(4 + steps)
    path = {"gru": np.ones(steps)}
    return plots.forecast("gru", times[:4], np.ones(4), times[4:], path, "MW", np.array(low), np.array(high), level)


def make_all() -> dict[str, Figure]:
    many = {f"{rank} {name}": values for rank, name in enumerate((LONG, NOWHERE)) for values in [np.ones(5) + rank]}
    crowd = {f"{rank} {LONG} {LONG}": np.arange(1.0, 6) * rank for rank in range(1, 13)}
    worst = [make_excerpt(f"H{n}: MASE 4.21", dated=False, scale=10.0**n) for n in range(6)]
    gaps = np.where(np.arange(24) % 3 == 0, np.nan, 1.0)
    gappy = dataclasses.replace(worst[0], context=np.tile(gaps, 3), actual=gaps, low=-gaps, high=gaps)
    blank = dataclasses.replace(make_excerpt("?"), context=np.full(72, np.nan), actual=np.full(24, np.nan))
    large = dataclasses.replace(worst[1], context=worst[1].context * 1e6 + 1e9)
    return {
        "steps": make_steps(48),
        "one step": make_steps(1, measure="MASE"),
        "two steps": make_steps(2),
        "10,000 steps": make_steps(10_000),
        "steps of long names": plots.error_by_step(LONG, many, [*many][:1], NOWHERE),
        "a crowd of long names": plots.error_by_step(WIDE, crowd, [*crowd][:8], WIDE),
        "steps with gaps": plots.error_by_step("gru", {"gru": gaps, "last_value": 2 * gaps}, ["gru"], "MW"),
        "no error known": plots.error_by_step("gru", {"gru": np.full(3, np.nan)}, ["gru"], "MW"),
        "log": plots.error_by_step("gru", {"gru": np.ones(9), "linear_ar": 9.0 ** np.arange(9)}, ["gru"], "MW"),
        "above 0": plots.error_by_step("gru", {"gru": np.full(9, 100.0), "last_value": np.full(9, 103.0)}, [], WIDE),
        "one excerpt": make_excerpts(make_excerpt("from 2024-01-31 00:00")),
        "two excerpts": make_excerpts(*map(make_excerpt, "ab")),
        "three excerpts": make_excerpts(*map(make_excerpt, "abc")),
        "six excerpts": make_excerpts(*(make_excerpt(f"from 2024-01-31: RMSE {n}") for n in range(6))),
        "worst series": make_excerpts(*worst),
        "one step, one point": make_excerpts(make_excerpt("1", 1, 1), make_excerpt("2", 40, 1)),
        "excerpts with gaps": make_excerpts(gappy, blank, large, blank, gappy),
        "long labels": plots.excerpts(WIDE, [*map(make_excerpt, (LONG, NOWHERE, WIDE, "", "H1"))], NOWHERE, NOWHERE),
        "one long label": plots.excerpts(LONG, [make_excerpt(WIDE)], WIDE, WIDE),
        "interval": make_interval(3, [0, -1, -2], [2, 3, 4]),
        "one interval": make_interval(1, [0], [2]),
        "interval with gaps": make_interval(4, [0, np.nan, 0, np.nan], [2, np.nan, 2, 2]),
    }


@pytest.fixture(scope="module")
def figures() -> dict[str, Figure]:
    return draw(make_all())


def bands(ax: Axes) -> list[Collection]:
    return [item for item in ax.collections if item.get_label() in ("interval", "90 % interval")]


def band_points(ax: Axes) -> list[set[tuple[float, float]]]:
    """Return the corners of every stretch of a band."""
    (band,) = bands(ax)
    return [set(map(tuple, np.asarray(path.vertices).tolist())) for path in band.get_paths()]


def bars(ax: Axes) -> list[list[list[float]]]:
    """Return the ends of the bars of an interval."""
    paths = [path for item in ax.collections if item not in bands(ax) for path in item.get_paths()]
    return [np.asarray(path.vertices).tolist() for path in paths]


def test_title_legend_panels_and_labels_lie_apart_and_inside_the_figure(figures: dict[str, Figure]) -> None:
    for name, figure in figures.items():
        title = title_of(figure)
        others = [text.get_window_extent() for text in figure.texts if text is not title]
        boxes = [title.get_window_extent(), figure.legends[0].get_window_extent(), *panel_boxes(figure), *others]
        assert not any(overlap(one, other) for one, other in itertools.combinations(boxes, 2)), name
        frame = figure.bbox.padded(2)
        assert all(np.array_equal(Bbox.union([box, frame]).extents, frame.extents) for box in boxes), name
        assert all(float(text.get_fontsize()) >= 11 for text in shown_texts(figure)), name


def test_panels_keep_their_height_whatever_the_names(figures: dict[str, Figure]) -> None:
    for name, figure in figures.items():
        assert all(ax.get_window_extent().height > 1.2 * figure.dpi for ax in figure.axes), name


def test_tick_labels_do_not_overlap(figures: dict[str, Figure]) -> None:
    for name, figure in figures.items():
        for ax in figure.axes:
            low, high = ax.get_xlim()
            shown = [label for label in ax.get_xticklabels() if low <= label.get_position()[0] <= high]
            boxes = [label.get_window_extent() for label in shown if label.get_text()]
            assert boxes, name
            assert not any(overlap(one, other) for one, other in itertools.pairwise(boxes)), name


@pytest.mark.parametrize("seconds", [1, 60, 3600, 86_400, 604_800, 2_629_746])
def test_dates_in_narrow_panels_do_not_overlap(seconds: int) -> None:
    times = START + np.arange(96) * np.timedelta64(seconds, "s")
    excerpt = dataclasses.replace(make_excerpt("a"), context_times=times[:72], times=times[72:])
    figures = {"narrow": make_excerpts(excerpt, excerpt)}
    test_tick_labels_do_not_overlap(draw(figures))


def test_a_legend_has_every_name_once(figures: dict[str, Figure]) -> None:
    expected = ["actual", "gru", "90 % interval", "last_value", "seasonal_naive", "cutoff"]
    assert labels_of(figures["six excerpts"]) == expected
    assert labels_of(figures["steps"]) == [*make_errors(1)]


def test_a_dollar_sign_in_a_name_is_a_dollar_sign_and_an_underscore_hides_no_name() -> None:
    steps = plots.error_by_step("$\\b$", {"$\\b$": np.ones(2), "_a_": np.ones(2)}, ["_a_"], "$\\b$", "$\\b$")
    excerpts = plots.excerpts("$\\b$", [make_excerpt("$\\b$")], "$\\b$", "$\\b$")
    draw({"steps": steps, "excerpts": excerpts})  # raises where "$\b$" is taken for mathematics
    assert labels_of(steps) == [" _a_", "$\\b$"]
    assert all(not text.get_parse_math() for text in shown_texts(steps) if "$" in text.get_text())


def test_errors_begin_at_step_1_and_the_title_names_the_measure() -> None:
    figure = plots.error_by_step("co2", {"gru": np.array([2.0, 3.0])}, ["gru"], "ppm", "MAE")
    assert points(line_of(figure, "gru")) == [(1, 2), (2, 3)]
    assert title_of(figure).get_text() == "co2: MAE by step ahead"
    assert figure.axes[0].get_ylabel() == "MAE (ppm)"
    assert plots.error_by_step("co2", {}, [], "", "MASE").axes[0].get_ylabel() == "MASE"


def test_models_are_thick_and_coloured_and_baselines_grey_thin_and_each_with_its_own_dashes() -> None:
    lines = make_steps(48).axes[0].lines
    assert [line.get_color() for line in lines] == [*COLOURS[:2], GREY, GREY, GREY]
    assert [line.get_linestyle() for line in lines[:2]] == ["-", "-"]
    assert min(line.get_linewidth() for line in lines[:2]) > max(line.get_linewidth() for line in lines[2:])
    assert len({str(line._unscaled_dash_pattern) for line in lines[2:]}) == 3  # type: ignore[attr-defined]


def test_the_colour_of_a_model_is_that_of_its_place_among_the_models() -> None:
    figure = plots.error_by_step("co2", {"last_value": np.ones(2), "lstm": np.ones(2)}, ["gru", "lstm"], "ppm")
    assert line_of(figure, "lstm").get_color() == COLOURS[1]


def test_twelve_models_and_eight_baselines_all_look_different() -> None:
    names = [f"model {n}" for n in range(12)] + [f"baseline {n}" for n in range(8)]
    for steps in (1, 5):
        figure = plots.error_by_step("co2", {name: np.ones(steps) for name in names}, names[:12], "ppm")
        lines = figure.axes[0].lines
        looks = [(line.get_color(), line.get_marker(), str(line._unscaled_dash_pattern)) for line in lines]  # type: ignore[attr-defined]
        assert len(set(looks)) == 20


def test_an_error_axis_begins_at_zero() -> None:
    ax = make_steps(48).axes[0]
    assert (ax.get_ylim()[0], ax.get_yscale(), ax.get_ylabel()) == (0, "linear", "RMSE (MW)")


def test_for_lines_in_its_upper_third_the_axis_begins_above_0_and_says_so() -> None:
    for lowest, begins_above in ((2.1, True), (1.9, False)):
        ax = plots.error_by_step("co2", {"gru": np.array([lowest, 3.0])}, ["gru"], "ppm").axes[0]
        assert (ax.get_ylim()[0] > 0) == begins_above
        assert ("begins above 0" in ax.get_ylabel()) == begins_above


def test_a_line_in_the_lowest_tenth_makes_the_axis_logarithmic() -> None:
    for highest, scale in ((11, "log"), (9, "linear")):
        errors = {"gru": np.array([0.5, 1.0]), "linear_ar": np.array([1.0, highest])}
        ax = plots.error_by_step("co2", errors, ["gru"], "ppm").axes[0]
        assert ax.get_yscale() == scale
        assert ("log scale" in ax.get_ylabel()) == (scale == "log")
    zero = plots.error_by_step("co2", {"gru": np.zeros(2), "last_value": np.ones(2)}, ["gru"], "ppm")
    assert zero.axes[0].get_ylim()[0] == 0


def test_errors_of_one_step_are_dots_side_by_side(figures: dict[str, Figure]) -> None:
    (ax,) = figures["one step"].axes
    assert [line.get_marker() for line in ax.lines] == ["o", "o", "s", "^", "D"]
    assert [line.get_linestyle() for line in ax.lines] == ["None"] * 5
    assert [points(line)[0][0] for line in ax.lines] == pytest.approx([0.9, 0.95, 1, 1.05, 1.1])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1"]


def test_no_tick_stands_at_step_0(figures: dict[str, Figure]) -> None:
    for name in ("two steps", "steps", "10,000 steps"):
        assert figures[name].axes[0].get_xlim()[0] > 0


def test_actual_values_continue_the_past_and_forecasts_begin_at_the_last_known_value() -> None:
    past, ahead = np.array([1.0, 2.0, np.nan]), np.array([5.0, 6.0, 7.0])
    excerpt = Excerpt("a", np.arange(3), past, np.arange(3, 6), np.array([4.0, 5.0, np.nan]), ahead)
    figure = make_excerpts(excerpt)
    assert heights(line_of(figure, "actual")) == pytest.approx([1, 2, np.nan, 4, 5], nan_ok=True)
    assert points(line_of(figure, "gru")) == [(1, 2), (3, 5), (4, 6), (5, 7)]
    assert [x for x, _ in points(line_of(figure, "cutoff"))] == [2, 2]
    assert not figure.axes[0].collections


def test_values_not_known_yet_do_not_turn_the_past_into_dots() -> None:
    excerpt = dataclasses.replace(make_excerpt("a"), actual=np.full(24, np.nan))
    actual = line_of(make_excerpts(excerpt), "actual")
    assert actual.get_marker() == ""
    assert len(heights(actual)) == 72


def test_a_baseline_has_the_same_dashes_in_every_panel() -> None:
    whole = make_excerpt("a")
    partial = dataclasses.replace(whole, baselines={"seasonal_naive": whole.baselines["seasonal_naive"]})
    figure = make_excerpts(whole, partial)
    lines = [line for ax in figure.axes for line in ax.lines if line.get_label() == "seasonal_naive"]
    assert len({str(line._unscaled_dash_pattern) for line in lines}) == 1  # type: ignore[attr-defined]
    assert [line.get_label() for line in figure.axes[1].lines] == ["actual", "gru", "seasonal_naive", "cutoff"]


def test_every_excerpt_has_a_panel_with_an_axis_of_its_own_and_its_label(figures: dict[str, Figure]) -> None:
    axes = figures["worst series"].axes
    assert [ax.get_title(loc="left") for ax in axes] == [f"H{n}: MASE 4.21" for n in range(6)]
    assert [round(ax.get_ylim()[1] / 10**n, 1) for n, ax in enumerate(axes)] == [1.9] * 6
    for name, count in (("one excerpt", 1), ("two excerpts", 2), ("three excerpts", 3)):
        assert len(figures[name].axes) == count


def test_a_long_label_is_wrapped_and_shortened(figures: dict[str, Figure]) -> None:
    first, *_, last = (ax.get_title(loc="left") for ax in figures["long labels"].axes)
    assert first == "a_model_with_a_very_long_name_that_\nsomeone_gave_to_it_in_a_hurry_one_…"
    assert last == "H1"
    for ax in figures["long labels"].axes[:3]:
        assert ax.get_title(loc="left").count("\n") == 1
        assert ax.get_title(loc="left").endswith("…")


def test_a_forecast_that_explodes_leaves_its_panel_and_does_not_flatten_the_known_values() -> None:
    for extreme in (np.exp(np.arange(24.0)), np.full(24, 1e99), np.full(24, np.inf)):
        figure = make_excerpts(dataclasses.replace(make_excerpt("a"), forecast=extreme, low=-extreme, high=extreme))
        draw({"explodes": figure})
        low, high = figure.axes[0].get_ylim()
        assert -10 <= low <= -1
        assert 1 <= high <= 10  # the sine's range is 2: four times that, and a margin


def test_an_interval_is_a_pale_band_of_the_models_colour_from_the_last_known_value_on() -> None:
    figure = make_interval(2, [0, -1], [2, 3])
    ax = figure.axes[0]
    assert set.union(*band_points(ax)) == {(3, 1), (4, 0), (4, 2), (5, -1), (5, 3)}
    (band,) = bands(ax)
    assert band.get_alpha() == 0.2
    assert line_of(figure, "gru").get_color() == BLUE
    assert band.get_zorder() < line_of(figure, "gru").get_zorder()


def test_the_legend_names_the_interval_by_its_level_after_the_model() -> None:
    for level, name in ((0.9, "90 % interval"), (0.07, "7 % interval"), (0.995, "99.5 % interval"), (None, "interval")):
        assert labels_of(make_interval(2, [0, 0], [2, 2], level)) == ["actual", "gru", name, "cutoff"]
    assert "interval" not in labels_of(plots.forecast("a", np.arange(1), np.ones(1), np.arange(1, 2), {}, "MW"))


def test_nan_leaves_a_gap_in_an_interval_and_a_step_between_two_gaps_is_a_bar() -> None:
    nan = np.nan
    ax = make_interval(7, [0, nan, 0, 0, nan, 0, nan], [2, 2, 2, 2, 2, 2, 2]).axes[0]
    assert [sorted({x for x, _ in stretch}) for stretch in band_points(ax)] == [[3, 4], [6, 7]]
    assert bars(ax) == [[[9, 0], [9, 2]]]


def test_an_interval_of_one_step_is_a_bar(figures: dict[str, Figure]) -> None:
    assert bars(figures["one interval"].axes[0]) == [[[4, 0], [4, 2]]]
    assert band_points(figures["one interval"].axes[0]) == []
    assert [len(bars(ax)) for ax in figures["one step, one point"].axes] == [1, 1]


def test_an_interval_of_a_long_horizon_ends_where_its_forecast_does() -> None:
    ax = make_interval(2000, np.zeros(2000), np.full(2000, 2)).axes[0]
    assert max(x for x, _ in band_points(ax)[0]) == 1003

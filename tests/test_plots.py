"""The figures: what they show, and that no part of them covers another."""

import io
import itertools
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from tasks import plots
from tasks.plots import PartForecast

LONG = "a_model_with_a_very_long_name_that_someone_gave_to_it_in_a_hurry_one_evening_in_may"
SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800, "month": 2_629_746}
SCORES = {
    "rnn": {"train_rmse": 0.00523, "val_rmse": 0.0061, "test_rmse": 0.0063, "free_run_rmse_100": 0.021},
    "gru": {"train_rmse": 0.00123, "val_rmse": 0.5, "test_rmse": 1234.5, "free_run_rmse_100": 0.0049},
    "last_value": {"train_rmse": 0.0707, "val_rmse": 0.0708, "test_rmse": 0.0709, "free_run_rmse_100": 0.99},
    "linear_ar": {"train_rmse": 1.234e-12, "val_rmse": 2.5e-13, "test_rmse": 0.0},
}


def make_parts(times: npt.NDArray[Any], name: str = "val") -> list[PartForecast]:
    """A sine and forecasts of it that are 0.25 too high: 80 % training, 10 % validation, 10 % test."""
    actual, cuts = np.sin(np.arange(len(times)) / 10), (0, int(0.8 * len(times)), int(0.9 * len(times)), len(times))
    spans = [slice(*ends) for ends in itertools.pairwise(cuts)]
    names = ("train", name, "test")
    return [PartForecast(part, times[at], actual[at], actual[at] + 0.25) for part, at in zip(names, spans, strict=True)]


def make_free_run(steps: int, predicted: npt.NDArray[Any] | None = None) -> Figure:
    wave = np.sin(np.arange(20 + steps) / 10)
    times, rmse = np.arange(20 + steps), {n: 0.00123 * n / 100 for n in (100, 1000) if n <= steps}
    predicted = wave[20:] * 0.9 if predicted is None else predicted
    return plots.free_run("gru", times[:20], wave[:20], times[20:], wave[20:], predicted, rmse)


def make_comparison(chosen: str | None = "gru") -> Figure:
    return plots.comparison(SCORES, ["rnn", "gru"], ["last_value", "linear_ar"], chosen)


def make_all() -> dict[str, Figure]:
    """A figure of every kind, some with long names, gaps and dates."""
    weeks = np.datetime64("1958-03-29", "us") + np.arange(2000) * np.timedelta64(7, "D")
    gaps = np.where(np.arange(40) % 3 == 0, np.nan, np.arange(40.0))
    return {
        "loss": plots.loss_curves(LONG, {"train_loss": [1, 0.1, 0.01], "val_loss": [2, 0.05, 0.06]}),
        "one epoch": plots.loss_curves("rnn", {"train_loss": [0.5]}),
        "predictions": plots.predictions("gru", make_parts(weeks), "co2"),
        "excerpts": plots.predictions(LONG, make_parts(np.arange(20_000)), LONG),
        "gaps": plots.predictions("gru", [PartForecast("test", np.arange(40), gaps, np.arange(40.0))], "gaps"),
        "no parts": plots.predictions("gru", [], "nothing"),
        "free run": make_free_run(1000),
        "short free run": make_free_run(50),
        "comparison": make_comparison(),
        "one model": plots.comparison({LONG: {"train_rmse": 0.1}}, [LONG], [], LONG),
        "scatter": plots.scatter("elman", np.arange(40), gaps, np.arange(40.0)),
    }


def draw(figures: dict[str, Figure]) -> dict[str, Figure]:
    """Draw the figures, so that all their parts have a place."""
    for figure in figures.values():
        figure.canvas.draw()
    return figures


@pytest.fixture(scope="module")
def figures() -> dict[str, Figure]:
    return draw(make_all())


def shown_texts(figure: Figure) -> list[Text]:
    """Every text that has a place in the drawn figure."""
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_visible()]
    return [text for text in texts if text.get_text().strip()]


def title_of(figure: Figure) -> Text:
    return max(figure.texts, key=Text.get_fontsize)


def overlap(one: Bbox, other: Bbox) -> bool:
    return bool(one.x0 < other.x1 and other.x0 < one.x1 and one.y0 < other.y1 and other.y0 < one.y1)


def panel_boxes(figure: Figure) -> list[Bbox]:
    """The panels with all their texts."""
    return [box for ax in figure.axes if (box := ax.get_tightbbox())]


def points(line: Line2D) -> list[tuple[float, float]]:
    """The points of a line as (x, y)."""
    return list(zip(np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist(), strict=True))


def printed(figure: Figure) -> list[list[str]]:
    """The values printed in a comparison, by column."""
    return [[text.get_text() for text in ax.texts] for ax in figure.axes]


def test_importing_the_module_does_not_import_pyplot() -> None:
    code = "import sys, tasks.plots; sys.exit('matplotlib.pyplot' in sys.modules)"
    root = Path(plots.__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_legend_and_title_lie_above_every_panel_and_apart(figures: dict[str, Figure]) -> None:
    for name, figure in figures.items():
        title = title_of(figure).get_window_extent()
        panels = panel_boxes(figure)
        legends = [legend.get_window_extent() for legend in figure.legends]
        assert all(not overlap(title, box) for box in [*panels, *legends]), name
        assert all(not overlap(legend, panel) for legend in legends for panel in panels), name
        assert all(ax.get_legend() is None for ax in figure.axes), name


def test_every_text_is_large_enough_and_inside_the_figure(figures: dict[str, Figure]) -> None:
    for name, figure in figures.items():
        for text in shown_texts(figure):
            assert float(text.get_fontsize()) >= 11, (name, text)
        frame = figure.bbox.padded(2)
        for box in [*panel_boxes(figure), *(text.get_window_extent() for text in figure.texts)]:
            assert np.array_equal(Bbox.union([box, frame]).extents, frame.extents), name


@pytest.mark.parametrize("count", [200, 2900])
@pytest.mark.parametrize("unit", SECONDS)
def test_tick_labels_of_dates_do_not_overlap_and_no_panel_lacks_them(unit: str, count: int) -> None:
    times = np.datetime64("1990-01-01", "us") + np.arange(count) * np.timedelta64(SECONDS[unit], "s")
    figure = plots.predictions("gru", make_parts(times), "value")
    figure.canvas.draw()
    for ax in figure.axes[3:]:
        low, high = ax.get_xlim()
        labels = [label for label in ax.get_xticklabels() if low <= label.get_position()[0] <= high]
        boxes = [label.get_window_extent() for label in labels if label.get_text()]
        assert len(boxes) >= 2
        assert not any(overlap(one, other) for one, other in itertools.pairwise(boxes))


def test_losses_over_a_decade_have_a_log_axis_and_others_a_linear_one() -> None:
    def scale(*losses: float) -> str:
        return plots.loss_curves("gru", {"train_loss": list(losses)}).axes[0].get_yscale()

    assert scale(1.0, 0.09) == "log"
    assert scale(1.0, 0.11) == "linear"
    assert scale(1.0, 0.0) == "linear"
    assert scale(1.0, -20.0) == "linear"
    assert scale(0.5, 0.5, 0.5) == "linear"
    assert scale(1e-9, float("nan"), 1e-12) == "log"


def test_lowest_validation_loss_is_marked_with_its_value_and_epoch() -> None:
    losses = {"train_loss": [3.0, 2.0, 1.0, 0.5], "val_loss": [3.0, float("nan"), 1.25, 1.5]}
    figure = plots.loss_curves("gru", losses)
    assert figure.legends[0].get_texts()[-1].get_text() == "lowest validation loss: 1.25 in epoch 3"
    (mark,) = [line for line in figure.axes[0].lines if str(line.get_label()).startswith("lowest")]
    assert points(mark) == [(3, 1.25)]


def test_without_validation_nothing_is_marked() -> None:
    for losses in ({"train_loss": [1.0, 0.9]}, {"train_loss": [1.0], "val_loss": [float("nan")]}):
        labels = [text.get_text() for text in plots.loss_curves("gru", losses).legends[0].get_texts()]
        assert not any("lowest" in label for label in labels)


def test_a_single_epoch_is_a_visible_point_at_the_tick_1() -> None:
    figure = plots.loss_curves("gru", {"train_loss": [0.5]})
    figure.canvas.draw()
    ax = figure.axes[0]
    assert ax.lines[0].get_marker() == "o"
    assert [tick for tick in ax.get_xticks() if ax.get_xlim()[0] <= tick <= ax.get_xlim()[1]] == [1]


def test_lower_panel_shows_actual_minus_forecast() -> None:
    actual, predicted = np.array([1.0, np.nan, 5.0]), np.array([0.5, 2.0, 7.0])
    figure = plots.predictions("gru", [PartForecast("test", np.arange(3), actual, predicted)], "value")
    assert [y for _, y in points(figure.axes[1].lines[0])] == pytest.approx([0.5, np.nan, -2.0], nan_ok=True)


def test_parts_stand_side_by_side_under_their_names() -> None:
    for name in ("val", "validation"):
        figure = plots.predictions("gru", make_parts(np.arange(1000), name), "value")
        assert [ax.get_title() for ax in figure.axes[:3]] == ["training", "validation", "test"]
        assert len({ax.get_facecolor() for ax in figure.axes[:3]}) == 3
        assert [len(points(ax.lines[1])) for ax in figure.axes[:3]] == [800, 100, 100]


def test_empty_parts_are_left_out() -> None:
    parts = make_parts(np.arange(100))
    empty = PartForecast("val", np.arange(0), np.zeros(0), np.zeros(0))
    assert [ax.get_title() for ax in plots.predictions("gru", [parts[0], empty], "value").axes] == ["training", ""]
    assert (
        title_of(plots.predictions("gru", [empty], "value")).get_text()
        == "gru: forecasts one step ahead: there are none"
    )


def test_a_long_series_is_shown_in_extracts_that_the_titles_name() -> None:
    figure = plots.predictions("gru", make_parts(np.arange(20_000)), "value")
    shown = [[x for x, _ in points(ax.lines[0])] for ax in figure.axes[:3]]
    assert [(times[0], times[-1]) for times in shown] == [(15_400, 15_999), (16_000, 16_299), (18_000, 18_299)]
    assert figure.axes[0].get_title() == "training\nlast 600 of 16,000"
    assert figure.axes[2].get_title() == "test\nfirst 300 of 2,000"
    assert title_of(figure).get_text() == "gru: forecasts one step ahead, 1,200 of 20,000 points"


def test_a_point_between_two_gaps_is_drawn() -> None:
    actual = np.array([np.nan, 1.0, np.nan])
    figure = plots.predictions("gru", [PartForecast("test", np.arange(3), actual, np.ones(3))], "value")
    assert figure.axes[0].lines[0].get_marker() == "o"


def test_free_run_titles_contain_the_rmse_of_their_steps() -> None:
    titles = [ax.get_title(loc="left") for ax in make_free_run(1000).axes]
    assert titles == [
        "first 100 steps; RMSE over 100 steps: 0.00123",
        "all 1,000 steps; RMSE over 1,000 steps: 0.0123",
    ]
    assert [ax.get_title(loc="left") for ax in make_free_run(50).axes] == ["all 50 steps"]


def test_free_run_begins_at_the_last_value_of_the_context() -> None:
    actual, forecast, context = make_free_run(100).axes[0].lines[:3]
    assert points(actual)[0] == points(forecast)[0] == points(context)[-1]
    assert len(points(forecast)) == 101


def test_a_forecast_that_explodes_does_not_flatten_the_actual_values() -> None:
    for predicted in (np.exp(np.arange(200.0)), np.full(200, np.inf), np.full(200, 1e300)):
        figure = make_free_run(200, predicted)
        figure.canvas.draw()
        assert all(ax.get_ylim()[1] - ax.get_ylim()[0] <= 10.1 for ax in figure.axes)  # five times the sine's range


def test_every_row_of_a_comparison_has_a_printed_value_and_missing_ones_a_dash() -> None:
    figure = make_comparison()
    assert printed(figure) == [
        ["0.00523", "0.00123", "0.0707", "1.23e-12"],
        ["0.00610", "0.500", "0.0708", "2.50e-13"],
        ["0.00630", "1,230", "0.0709", "0"],
        ["0.0210", "0.00490", "0.990", "–"],
    ]
    assert [len(ax.lines) for ax in figure.axes] == [4, 4, 3, 3]


def test_comparison_has_a_log_axis_that_holds_every_value() -> None:
    for ax in make_comparison().axes:
        assert ax.get_xscale() == "log"
        low, high = ax.get_xlim()
        assert low < 2.5e-13
        assert high > 1234.5
        assert all(low < tick < high for tick in ax.get_xticks())
        assert len(ax.get_xticks()) >= 2


def test_comparison_keeps_the_order_and_marks_the_chosen_row_only() -> None:
    labels = [label.get_text() for label in make_comparison().axes[0].get_yticklabels()]
    assert labels == ["rnn", "gru\n(chosen)", "last_value", "linear_ar"]
    assert [len(ax.patches) for ax in make_comparison().axes] == [1, 1, 1, 1]
    assert make_comparison().axes[0].patches[0].get_extents().height > 0
    assert not any(ax.patches for ax in make_comparison(None).axes)


def test_the_lowest_value_of_a_column_is_bold() -> None:
    for ax, bold in zip(make_comparison().axes, ("1.23e-12", "2.50e-13", "0", "0.00490"), strict=True):
        assert [text.get_text() for text in ax.texts if text.get_fontweight() == "bold"] == [bold]


def test_printed_values_stand_in_their_own_row_and_apart(figures: dict[str, Figure]) -> None:
    axes = figures["comparison"].axes
    boxes = [[text.get_window_extent() for text in ax.texts] for ax in axes]
    assert not any(overlap(one, other) for one, other in itertools.combinations(itertools.chain(*boxes), 2))
    for ax, column in zip(axes, boxes, strict=True):
        centres = [float(ax.transData.inverted().transform((0, (box.y0 + box.y1) / 2))[1]) for box in column]
        assert [round(centre) for centre in centres] == [0, 1, 2, 3]


def test_a_forecast_close_to_the_actual_values_fills_its_panel() -> None:
    low, high = make_free_run(100).axes[0].get_ylim()
    assert (low, high) == pytest.approx((-1.1, 1.1), abs=0.01)  # the sine and a margin


def test_a_comparison_without_any_score_can_be_drawn() -> None:
    figure = plots.comparison({}, ["gru"], ["last_value"], None)
    figure.canvas.draw()
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["gru", "last_value"]


def test_scatter_has_large_hollow_circles_for_actual_values_and_small_dots_for_forecasts() -> None:
    actual, predicted = plots.scatter("elman", np.arange(20), np.ones(20), np.ones(20)).axes[0].collections
    assert isinstance(actual, PathCollection)
    assert isinstance(predicted, PathCollection)
    assert np.size(actual.get_facecolor()) == 0
    assert np.size(predicted.get_facecolor()) == 4
    assert actual.get_sizes()[0] > 2 * predicted.get_sizes()[0]


def test_a_dollar_sign_in_a_name_is_a_dollar_sign() -> None:
    scores = {"$a$": {"train_rmse": 1.0}}
    for figure in (plots.comparison(scores, ["$a$"], [], None), plots.predictions("$\\b$", [], "$\\b$")):
        figure.canvas.draw()  # raises where "$\b$" is taken for mathematics
        assert all(not text.get_parse_math() for text in shown_texts(figure) if "$" in text.get_text())


def test_threads_draw_the_same_figures_as_one_after_another() -> None:
    def draw(_: int) -> list[bytes]:
        images = []
        for figure in (make_free_run(100), plots.loss_curves("gru", {"train_loss": [1, 0.1, 1e-5]})):
            with io.BytesIO() as file:
                figure.savefig(file, format="png")
                images.append(file.getvalue())
        return images

    with ThreadPoolExecutor(3) as pool:
        drawn = list(pool.map(draw, range(3)))
    assert drawn == [draw(0)] * 3

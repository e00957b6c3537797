"""The facts that the rules read, on series for which they can be worked out by hand."""

import numpy as np
import pytest

from models.data.facts import measure_facts, seasonality, spread_grows
from models.data.panel import one_series
from models.data.steps import ONE
from tests.support.panels import panel_of


def test_a_series_that_repeats_exactly_is_all_season_and_noise_has_none() -> None:
    assert seasonality(np.tile([1.0, 2.0, 6.0, 3.0], 10), 4) == pytest.approx(1)
    noise = np.random.default_rng(0).normal(size=4_000)
    assert seasonality(noise, 4) < 0.01


def test_a_trend_is_not_counted_as_season() -> None:
    wave = np.tile([1.0, -1.0], 20)
    assert seasonality(wave + 5.0 * np.arange(40), 2) == pytest.approx(1)
    assert seasonality(5.0 * np.arange(40), 4) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("points", "season"), [(40, 1), (11, 4), (0, 4)])
def test_without_a_season_or_three_of_them_there_is_no_seasonality(points: int, season: int) -> None:
    assert seasonality(np.arange(points) % 4.0, season) == 0


def test_the_spread_grows_where_it_is_a_share_of_the_level() -> None:
    pattern, levels = np.array([0.8, 1.0, 1.3, 0.9]), np.repeat([10.0, 20.0, 40.0, 80.0], 4)
    assert spread_grows(np.tile(pattern, 4) * levels, 4)
    assert not spread_grows(np.tile(pattern, 4) + levels, 4)  # the spread stays


def test_the_spread_of_few_blocks_and_of_values_that_are_not_positive_is_not_judged() -> None:
    growing = np.tile([0.8, 1.0, 1.3, 0.9], 4) * np.repeat([10.0, 20.0, 40.0, 80.0], 4)
    assert not spread_grows(growing[:12], 4)
    assert not spread_grows(np.append(growing[:-1], 0.0), 4)


def test_the_facts_are_those_of_the_training_part() -> None:
    values = np.array([0.0, 1, 2, 0, 1, 2, 0, 1, 2, -50, 900, 7])
    panel = one_series("s", values)
    facts = measure_facts(panel, np.array([9]), 3, 2)
    assert (facts.step, facts.season, facts.horizon) == (ONE, 3, 2)
    assert (facts.n_series, facts.length, facts.shortest, facts.points) == (1, 9, 9, 9)
    assert facts.zeros == pytest.approx(3 / 9)
    assert facts.seasonality == pytest.approx(1)
    assert not facts.positive
    assert not measure_facts(one_series("s", values + 1), np.array([9]), 3, 2).positive  # of later parts too


def test_of_several_series_the_typical_one_counts() -> None:
    panel = panel_of(*([float(n) for n in range(1, length + 1)] for length in (20, 30, 100)))
    facts = measure_facts(panel, panel.ends, 1, 1)
    assert (facts.n_series, facts.length, facts.shortest, facts.points) == (3, 30, 20, 150)


def test_an_empty_training_part_has_facts_too() -> None:
    facts = measure_facts(one_series("s", np.arange(4.0)), np.array([0]), 2, 1)
    assert (facts.length, facts.points, facts.gaps, facts.zeros) == (0, 0, 0, 0)

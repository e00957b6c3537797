"""Ten thousand files that nobody meant to write: a forecast or one clear line for each."""

from collections import Counter
from pathlib import Path

import pytest

from tests.support.fuzzed_files import make_file, make_options
from tests.support.fuzzing import judged, try_input, warm_up

INPUTS, SHARES = 10_000, 8


@pytest.mark.timeout(300)
@pytest.mark.parametrize("share", range(SHARES))
def test_every_file_ends_in_a_forecast_or_in_one_clear_line(share: int, tmp_path: Path) -> None:
    warm_up()
    actual_values = Counter(try_input(0, number, tmp_path) for number in range(share, INPUTS, SHARES))
    assert [outcome.said for outcome in actual_values if outcome.failed] == [], f"see {tmp_path}"
    forecasts = sum(count for outcome, count in actual_values.items() if outcome.said == "forecast")
    assert forecasts > INPUTS / SHARES / 20
    assert len(actual_values) > 30  # so many kinds of refusals


def test_an_input_is_made_again_from_its_seed_and_number() -> None:
    assert make_file(3, 41) == make_file(3, 41)
    assert make_options(3, 41) == make_options(3, 41)
    assert make_file(3, 41) != make_file(3, 43)
    assert make_file(3, 41)[0].endswith(".parquet")
    assert make_file(3, 42)[0].endswith(".csv")


@pytest.mark.parametrize("line", ["", "a\nb", "Traceback (most recent call last):", "\x1b[31m", "x" * 2000])
def test_what_is_no_clear_line_is_a_failure(line: str) -> None:
    assert judged(line, Path("f.csv")).failed
    assert not judged("f.csv: the file is empty", Path("f.csv")).failed

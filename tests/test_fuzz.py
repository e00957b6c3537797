"""Ten thousand random and damaged files: each ends in a forecast or in one clear line."""

from collections import Counter
from pathlib import Path

import pytest

from tests.support.fuzzed_files import make_file, make_options
from tests.support.fuzzing import classify_refusal, try_input, warm_up

INPUTS, SHARES = 10_000, 8


@pytest.mark.timeout(300)
@pytest.mark.parametrize("share", range(SHARES))
def test_every_file_ends_in_a_forecast_or_in_one_clear_line(share: int, tmp_path: Path) -> None:
    warm_up()
    results = Counter(try_input(0, number, tmp_path) for number in range(share, INPUTS, SHARES))
    assert [result.text for result in results if result.failed] == [], f"see {tmp_path}"
    forecasts = sum(count for result, count in results.items() if result.text == "forecast")
    assert forecasts > INPUTS / SHARES / 20
    assert len(results) > 30  # kinds of refusals


def test_an_input_depends_only_on_its_seed_and_number() -> None:
    assert make_file(3, 41) == make_file(3, 41)
    assert make_options(3, 41) == make_options(3, 41)
    assert make_file(3, 41) != make_file(3, 43)
    assert make_file(3, 41)[0].endswith(".parquet")
    assert make_file(3, 42)[0].endswith(".csv")


@pytest.mark.parametrize("line", ["", "a\nb", "Traceback (most recent call last):", "\x1b[31m", "x" * 2000])
def test_a_refusal_that_is_not_one_clear_line_is_a_failure(line: str) -> None:
    assert classify_refusal(line, Path("f.csv")).failed
    assert not classify_refusal("f.csv: the file is empty", Path("f.csv")).failed

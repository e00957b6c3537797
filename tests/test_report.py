"""What a person reads: progress during a run, and tables and text at its end."""

import io
import logging
from pathlib import Path

import pytest
from rich.console import Console

from models.display import enumerated, format_number
from tasks.progress import progress
from tasks.report import report_forecast, report_monitoring, training_table
from tasks.tracking.runs import tracked_run

SUMMARY = {
    "experiment": "demo",
    "chosen": "gru",
    "chosen_by": "val_rmse",
    "horizon": 1,
    "models": {
        "rnn": {"seconds": 1.25, "metrics": {"train_rmse": 0.1, "val_rmse": 0.234567}},
        "gru": {"seconds": 2.5, "metrics": {"train_rmse": 0.1, "val_rmse": 0.1, "free_run_rmse_100": 12345.6}},
    },
    "baselines": {"last_value": {"train_rmse": 1.0, "val_rmse": 1e-15}},
}


def printed(summary: dict[str, object]) -> list[str]:
    console = Console(file=io.StringIO(), width=120)
    console.print(training_table(summary))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_the_table_has_a_row_for_every_model_and_baseline_and_marks_the_chosen_one() -> None:
    lines = printed(SUMMARY)
    rows = {line.split("│")[1].strip(): line for line in lines if line.startswith("│")}
    assert list(rows) == ["rnn", "gru *", "last_value"]
    assert "0.235" in rows["rnn"]
    assert "1.2" in rows["rnn"]
    assert "1.00e-15" in rows["last_value"]


def test_a_score_that_a_row_lacks_is_a_dash_and_a_column_that_all_lack_is_left_out() -> None:
    lines = printed(SUMMARY)
    header = next(line for line in lines if "validation" in line)
    assert "free 100" in header
    assert "test" not in header
    assert "free 1000" not in header
    assert "–" in next(line for line in lines if "rnn" in line)


def test_the_training_score_is_shown_where_there_is_no_other() -> None:
    alone = {**SUMMARY, "models": {"gru": {"seconds": 1, "metrics": {"train_rmse": 0.5}}}, "baselines": {}}
    assert any("training" in line for line in printed(alone))
    assert not any("training" in line for line in printed(SUMMARY))


@pytest.mark.parametrize(
    ("score", "text"),
    [
        (0.123456, "0.123"),
        (0.5, "0.500"),
        (12.0, "12.0"),
        (123.4, "123"),
        (999.9, "1,000"),
        (12345.6, "12,300"),
        (1.2e7, "1.20e+07"),
        (0.0, "0"),
        (float("nan"), "–"),
        (float("inf"), "–"),
    ],
)
def test_numbers_have_three_significant_digits(score: float, text: str) -> None:
    assert format_number(score) == text


def test_a_forecast_is_described_with_the_places_where_it_is_kept(mlflow_folder: Path) -> None:
    with tracked_run("report", "forecast", {}) as run:
        pass
    summary = {"model": "co2", "version": 2, "run_id": run.id, "column": "gru", "series": 2, "rows": 10}
    summary |= {"cutoff": "2001-12-29", "last": "2002-02-02", "output": "out.csv"}
    (text,) = report_forecast(summary)
    first, kept, written = str(text).splitlines()
    assert first == "co2, version 2 (gru): 5 steps of each of 2 series beyond 2001-12-29, up to 2002-02-02."
    assert kept.startswith("  kept in    artifacts")
    assert written == "  written to out.csv"
    (text,) = report_forecast(summary | {"series": 1, "rows": 5, "output": None})
    assert str(text).startswith(
        "co2, version 2 (gru): 5 steps beyond 2001-12-29, up to 2002-02-02.\n  kept in    artifacts"
    )


def test_the_health_of_a_champion_is_described_below_its_latest_scores(mlflow_folder: Path) -> None:
    with tracked_run("report", "monitor", {}) as run:
        pass
    summary = {"model": "co2", "run_id": run.id, "health": "good", "reason": "it is better"}
    (text,) = report_monitoring(summary | {"forecasts": []})
    assert str(text).startswith("co2: good: it is better.\n  kept in artifacts")
    table, same_text = report_monitoring(summary | {"forecasts": [{"cutoff": "2001-12-29", "model": "0.500"}]})
    console = Console(file=io.StringIO(), width=120)
    console.print(table)
    assert "2001-12-29" in console.file.getvalue()  # type: ignore[attr-defined]
    assert same_text == text


def test_a_log_gets_a_few_lines_however_many_epochs_there_are() -> None:
    records: list[logging.LogRecord] = []
    listener = logging.Handler()
    listener.emit = records.append  # type: ignore[method-assign]
    log = logging.getLogger("tidecast")
    log.addHandler(listener)
    try:
        with progress("gru", 1000) as advance:
            for epoch in range(1, 1001):
                advance(epoch, {"train_loss": 1 / epoch})
    finally:
        log.removeHandler(listener)
    lines = [record.getMessage() for record in records]
    assert len(lines) == 6
    assert lines[0].startswith("gru: epoch 1 of 1000, train_loss 1.00,")
    assert lines[-1].startswith("gru: epoch 1000 of 1000, train_loss 0.00100,")


@pytest.mark.parametrize(
    ("items", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_items_are_joined_as_in_a_sentence(items: list[str], text: str) -> None:
    assert enumerated(items) == text

"""Writes reach the tracker in order, and are tried again as long as that may help."""

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import repeat
from pathlib import Path

import pytest
import requests
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, TEMPORARILY_UNAVAILABLE
from sqlalchemy.exc import OperationalError

from tasks.tracking import outbox
from tasks.tracking.database import make_database
from tasks.tracking.errors import TrackerAwayError, is_away, reason
from tasks.tracking.outbox import Outbox
from tasks.tracking.tracker import TRACKER

PASSING = [
    OSError("gone"),
    requests.ConnectionError("gone"),
    MlflowException("busy", TEMPORARILY_UNAVAILABLE),
    MlflowException("broken"),
    OperationalError("select 1", None, Exception("unable to open database file")),
]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "FIRST_PAUSE", 0.001)


def outbox_of_test() -> Outbox:
    return Outbox(lambda: "the tracker")


def after(errors: Iterator[Exception], write: Callable[[], object]) -> Callable[[], object]:
    """A write that meets some errors first, one at each attempt."""

    def attempt() -> object:
        for error in errors:
            raise error
        return write()

    return attempt


def test_writes_are_made_in_order_whatever_passing_errors_each_meets() -> None:
    box, made = outbox_of_test(), list[int]()
    for number in range(50):
        box.post(after(iter(PASSING[: number % 3 * 2]), lambda number=number: made.append(number)))  # type: ignore[misc]
    box.settle()
    assert made == list(range(50))


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
def test_a_write_is_tried_again_after_a_passing_error(error: Exception) -> None:
    box, made = outbox_of_test(), list[str]()
    box.post(after(iter([error] * 5), lambda: made.append("once")))
    box.settle()
    assert made == ["once"]


@pytest.mark.parametrize(
    "error",
    [MlflowException("no such run", INVALID_PARAMETER_VALUE), KeyError("ours"), FileNotFoundError(2, "gone", "plots")],
    ids=lambda error: type(error).__name__,
)
def test_a_write_that_is_refused_for_good_is_raised_once_and_the_rest_is_written(error: Exception) -> None:
    box, made = outbox_of_test(), list[str]()
    box.post(after(iter([error] * 2), lambda: made.append("refused")))
    box.post(lambda: made.append("behind"))
    with pytest.raises(type(error)) as raised:
        box.settle()
    assert raised.value is error
    assert made == ["behind"]
    began = time.monotonic()
    box.settle()
    assert time.monotonic() - began < 1


def test_a_tracker_that_takes_nothing_is_given_up_when_patience_ends_and_can_be_used_later() -> None:
    box, away, made = outbox_of_test(), threading.Event(), list[str]()
    away.set()

    def write() -> None:
        if away.is_set():
            raise ConnectionError(111, "Connection refused")
        made.append("late")

    box.post(write)
    box.post(write)
    with pytest.raises(TrackerAwayError, match=r"^the tracker cannot be used \(Connection refused\)"):
        box.settle(patience=0.05)
    assert len(box.waiting) == 0
    away.clear()
    box.post(write)
    box.settle(patience=0.0)
    assert made == ["late"]


def test_patience_counts_from_the_last_write_that_was_taken() -> None:
    """Each of the writes takes most of the patience, and all of them together far more."""
    box, made = outbox_of_test(), list[int]()

    def slow(number: int) -> Callable[[], object]:
        return after(iter([OSError("busy")] * 30), lambda: made.append(number))

    for number in range(20):
        box.post(slow(number))
    box.settle(patience=5.0)
    assert made == list(range(20))


def test_a_question_is_answered_after_the_writes_before_it_and_asked_again_after_errors() -> None:
    box, made = outbox_of_test(), list[str]()
    box.post(after(iter(PASSING), lambda: made.append("before")))
    assert box.ask(after(iter(PASSING), lambda: "".join(made))) == "before"


def test_posting_does_not_wait_for_the_tracker_and_settling_does() -> None:
    box, go = outbox_of_test(), threading.Event()
    box.post(go.wait)
    box.post(lambda: None)
    assert len(box.waiting) == 2
    go.set()
    box.settle()
    assert len(box.waiting) == 0


def test_of_many_that_make_the_same_write_at_once_none_is_refused(mlflow_folder: Path) -> None:
    """MLflow refuses some of those who log the data of a new experiment at the same time."""
    client, data = MlflowClient(), DatasetInput(Dataset("wave", "0123", "wave", "{}"))
    make_database(TRACKER.uri)
    boxes, start = [outbox_of_test() for _ in range(8)], threading.Barrier(8)
    for number in range(10):
        experiment = client.create_experiment(f"many {number}")
        runs = [client.create_run(experiment).info.run_id for _ in boxes]
        for box, run in zip(boxes, runs, strict=True):
            box.post(start.wait)
            box.post(partial(client.log_inputs, run, [data]))
        for box in boxes:
            box.settle()
        assert [len(client.get_run(run).inputs.dataset_inputs) for run in runs] == [1] * len(boxes)


def test_a_write_that_is_overtaken_again_and_again_is_refused() -> None:
    box = outbox_of_test()
    box.post(after(repeat(MlflowException("duplicate key value", INVALID_PARAMETER_VALUE)), lambda: None))
    with pytest.raises(MlflowException, match="duplicate key value"):
        box.settle()


def http_error(status: int) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError("of a file's transfer", response=response)


def test_a_transfer_that_is_refused_is_not_taken_for_a_server_in_trouble() -> None:
    assert [is_away(http_error(status)) for status in (400, 404, 413, 401, 429, 503)] == [False] * 3 + [True] * 3


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(28, "No space left on device", "/data/plots"), "/data/plots: No space left on device"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (
            MlflowException(
                "API request to http://ann:secret@h:1/api failed with exception HTTPConnectionPool(host='h', port=1): "
                "Max retries exceeded with url: /api (Caused by NewConnectionError(\"HTTPConnection(host='h', port=1): "
                'Failed to establish a new connection: [Errno 111] Connection refused"))'
            ),
            "Connection refused",
        ),
        (
            MlflowException("... (Caused by ResponseError('too many 503 error responses'))"),
            "too many 503 error responses",
        ),
        (
            MlflowException("(sqlite3.OperationalError) database or disk is full\n[SQL: INSERT INTO runs]"),
            "database or disk is full",
        ),
        (MlflowException("http://ann:secret@h:1 is odd"), "http://***@h:1 is odd"),
    ],
)
def test_the_reason_of_an_error_is_in_few_words_without_a_password(error: Exception, message: str) -> None:
    assert reason(error) == message

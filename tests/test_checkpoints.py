"""What a training leaves on disk is read whole or not at all: checkpoints, journals, run states."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.checkpoints import CheckpointError, read_checkpoint, write_checkpoint
from models.files import write_atomically
from models.network import State
from tasks.resuming.checkpoints import Checkpoints
from tasks.resuming.journal import Journal
from tasks.resuming.locks import Lock
from tasks.resuming.run_state import (
    CONTENT,
    RUN_STATES,
    RunState,
    open_run_state,
    outdated_run_states,
    read_run_state,
    undelivered_run_states,
)
from tasks.tracking.curves import Curves

STATE: State = {"epoch": np.array(3), "weights": np.linspace(0, 1, 7, dtype=np.float32), "none": np.zeros(0)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "gru.checkpoint"
    write_checkpoint(path, STATE, "a key")
    state = read_checkpoint(path, "a key")
    assert all(state[name].tobytes() == part.tobytes() for name, part in STATE.items())
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    return path.read_bytes()


def is_refused(folder: Path, content: bytes, key: str = "a key") -> bool:
    path = folder / "refused"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"is torn, altered, or of another training|by another version"):
        read_checkpoint(path, key)
    return True


@pytest.mark.parametrize("number", [1, 3, 12])
def test_a_checkpoint_of_another_format_is_refused_as_written_by_another_version(
    number: int, whole: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "gru.checkpoint"
    path.write_bytes(whole.replace(b"tidecast checkpoint 2\n", b"tidecast checkpoint %d\n" % number, 1))
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path, "a key")
    assert str(caught.value) == (
        f"{path} was written by another version of Tidecast (format {number}; this one reads format 2)"
    )


def test_a_checkpoint_that_is_cut_short_is_refused_at_every_length(whole: bytes, tmp_path: Path) -> None:
    assert all(is_refused(tmp_path, whole[:length]) for length in range(len(whole)))


def test_a_checkpoint_that_grew_or_is_of_another_training_is_refused(whole: bytes, tmp_path: Path) -> None:
    assert is_refused(tmp_path, whole + b"\0")
    assert is_refused(tmp_path, whole, "another key")
    assert is_refused(tmp_path, whole.replace(b"checkpoint 2", b"checkpoint 1"))
    assert is_refused(tmp_path, b"PK\3\4 something else")


def test_a_checkpoint_is_refused_for_every_single_flipped_bit(whole: bytes, tmp_path: Path) -> None:
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        assert is_refused(tmp_path, bytes(flipped))


@given(data=st.data())
def test_whatever_differs_from_a_checkpoint_is_refused(
    data: st.DataObject, whole: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    begin = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(begin, len(whole)))
    altered = whole[:begin] + data.draw(st.binary(max_size=64)) + whole[end:]
    assert altered == whole or is_refused(tmp_path_factory.getbasetemp(), altered)


@pytest.fixture
def run_state(tmp_path: Path) -> RunState:
    return RunState(tmp_path, "key", "train", {}, "cpu", "id")


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("tidecast"), "propagate", True)
    return caplog


def test_a_broken_checkpoint_is_set_aside_with_a_warning(run_state: RunState, logged: pytest.LogCaptureFixture) -> None:
    checkpoints = Checkpoints(run_state, "gru")
    checkpoints.save(lambda: STATE)
    assert Checkpoints(run_state, "gru").load(3) is not None
    assert Checkpoints(run_state, "lstm").load(3) is None
    content = checkpoints.path.read_bytes()
    for broken in (content[:-1], b"", Path(__file__).read_bytes()):
        checkpoints.path.write_bytes(broken)
        logged.clear()
        assert checkpoints.load(3) is None
        assert not checkpoints.path.exists()
        assert (run_state.folder / "gru.broken").read_bytes() == broken
        assert logged.messages == [
            f"gru: {checkpoints.path} is torn, altered, or of another training; it is set aside as gru.broken, and "
            "training starts anew"
        ]


def test_a_checkpoint_ahead_of_its_journal_is_set_aside(run_state: RunState, logged: pytest.LogCaptureFixture) -> None:
    checkpoints = Checkpoints(run_state, "gru")
    checkpoints.save(lambda: STATE)
    assert checkpoints.load(2) is None
    assert "is ahead of its journal, which holds 2 epochs" in logged.text


def test_where_no_checkpoint_can_be_written_the_last_one_stays_with_one_warning(
    run_state: RunState, logged: pytest.LogCaptureFixture
) -> None:
    checkpoints = Checkpoints(run_state, "gru")
    checkpoints.save(lambda: STATE)

    def full() -> State:
        raise OSError(28, "No space left on device")

    for _ in range(3):
        checkpoints.save(full)
    checkpoints.save(lambda: STATE | {"epoch": np.array(4)})
    assert logged.messages == [
        f"gru: no checkpoint can be written to {run_state.folder} (No space left on device); training goes on, and the "
        "last good one stays",
        "gru: checkpoints can be written again",
    ]
    state = checkpoints.load(4)
    assert state is not None
    assert state["epoch"] == 4


LINES = [[epoch, 1_700_000_000_000 + epoch, {"train_loss": 1 / epoch}] for epoch in range(1, 6)]


def journal_of(path: Path, lines: list[list[object]]) -> bytes:
    journal = Journal(path)
    for line in lines:
        journal.append(line)
    journal.write()
    return path.read_bytes()


def test_a_journal_cut_short_at_any_length_holds_its_whole_lines_and_grows_after_them(tmp_path: Path) -> None:
    path = tmp_path / "gru.curves"
    content = journal_of(path, LINES)
    for length in range(len(content) + 1):
        path.write_bytes(content[:length])
        journal = Journal(path)
        whole = content[:length].count(b"\n")
        assert journal.recovered == LINES[:whole]
        for line in LINES[whole:]:
            journal.append(line)
        journal.write()
        assert path.read_bytes() == content


def test_a_journal_is_read_up_to_the_first_flipped_bit(tmp_path: Path, logged: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "gru.curves"
    content = journal_of(path, LINES)
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(bytes(flipped))
        whole = content[:place].count(b"\n")
        assert Journal(path).recovered == LINES[:whole]
        assert Journal(path).recovered == LINES[:whole]
    assert f"{path} is altered after line 4" in logged.text


def test_a_curve_keeps_the_time_of_an_epoch_that_is_trained_again(tmp_path: Path) -> None:
    path = tmp_path / "gru.curves"
    first = Curves("a run", path, interval=1e9)
    first.add(1, {"train_loss": 0.5, "val_loss": float("nan")})
    first.add(2, {"train_loss": 0.25})
    first.write_journal()
    second = Curves("a run", path, interval=1e9)
    assert second.resend(1) == [{"train_loss": 0.5}]
    second.add(2, {"train_loss": 0.25})
    second.add(3, {"train_loss": 0.125})
    metrics = [(metric.key, metric.step, metric.value) for metric in second.waiting]
    assert metrics == [("train_loss", 1, 0.5), ("train_loss", 2, 0.25), ("train_loss", 3, 0.125)]
    assert [metric.timestamp for metric in second.waiting[:2]] == [metric.timestamp for metric in first.waiting]


def test_losses_that_the_disk_did_not_take_are_written_later(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    curves = Curves("a run", gone / "gru.curves", interval=1e9)
    curves.add(1, {"train_loss": 0.5})
    with pytest.raises(FileNotFoundError, match=str(gone)):
        curves.write_journal()
    gone.mkdir()
    curves.write_journal()
    assert Curves("a run", gone / "gru.curves").epochs == curves.epochs


def test_a_file_is_written_whole_or_the_old_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    write_atomically(path, b"old")
    with pytest.raises(OSError, match="File name too long"):
        write_atomically(tmp_path / ("x" * 250), b"new")
    with pytest.raises(FileNotFoundError) as raised:
        write_atomically(tmp_path / "gone" / "summary.json", b"new")
    assert raised.value.filename == str(tmp_path / "gone" / "summary.json")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_and_a_device_stay_what_they_are(tmp_path: Path) -> None:
    link, path = tmp_path / "link", tmp_path / "file"
    path.write_bytes(b"old")
    link.symlink_to(path)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert path.read_bytes() == b"new"
    write_atomically(Path("/dev/null"), b"new")
    assert Path("/dev/null").is_char_device()


OTHER_FORMAT = {"format": 1, "flow": "train", "parameters": {}, "device": "cpu", "id": "1", "undelivered": True}


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"3", b"[]", b'{"format": 2, "undelivered": true}', json.dumps(OTHER_FORMAT).encode(), b"\xff\xfe"],
)
def test_a_file_that_is_not_a_run_state_is_read_as_none(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = RUN_STATES / "key-1"
    folder.mkdir(parents=True)
    (folder / CONTENT).write_bytes(content)
    assert read_run_state(folder) == {}
    assert undelivered_run_states() == []


def test_a_run_state_of_an_earlier_version_is_found_unless_a_process_has_locked_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert outdated_run_states() == []
    folders = [Path(".tidecast", "records", name) for name in ("a-1", "b-1")]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "record.json").write_text("{}")
    with Lock(folders[0] / "lock"):
        assert outdated_run_states() == folders[1:]
    assert outdated_run_states() == folders
    assert undelivered_run_states() == []


@contextmanager
def left_behind() -> Iterator[RunState]:
    """The run state of a run that fails."""
    with suppress(KeyError), open_run_state("train", {"seed": 1}, "sha256", "cpu") as run_state:
        yield run_state
        raise KeyError


def test_an_undelivered_run_state_is_found_unless_a_process_has_locked_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with left_behind() as first:
        first.undelivered = True
        first.save()
        assert undelivered_run_states() == []
    assert undelivered_run_states() == [first.folder]
    with left_behind() as again:
        assert again.undelivered
    assert undelivered_run_states() == [first.folder]
    with open_run_state("train", {"seed": 1}, "sha256", "cpu"):
        assert undelivered_run_states() == []


def test_of_two_run_states_left_behind_each_is_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with left_behind() as first, left_behind() as second:
        pass
    assert {first.folder.name[-2:], second.folder.name[-2:]} == {"-1", "-2"}
    ids = set()
    for _ in range(2):
        with open_run_state("train", {"seed": 1}, "sha256", "cpu") as again:
            ids.add(again.id)
    assert ids == {first.id, second.id}
    assert list(RUN_STATES.iterdir()) == []
    with open_run_state("train", {"seed": 1}, "sha256", "cpu") as new:
        assert new.id not in ids
        assert json.loads((new.folder / CONTENT).read_text())["flow"] == "train"

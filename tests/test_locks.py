"""A lock is held by one process at a time, and its content can be read by all."""

import subprocess
import sys
from pathlib import Path

import pytest

from flows.services.locks import LOCK, hold_folder, server_environment
from models.errors import InputError
from tasks.resuming.locks import Lock, is_locked, locked, read_content

HOLD = """
import sys
from pathlib import Path
from tasks.resuming.locks import Lock
lock = Lock(Path(sys.argv[1]))
lock.acquire()
lock.write({"held": True})
print("held", flush=True)
sys.stdin.read()
"""


def test_a_lock_ends_with_its_process_and_its_content_stays(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not is_locked(path)
    hold = [sys.executable, "-c", HOLD, path]
    with subprocess.Popen(hold, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert is_locked(path)
        assert not Lock(path).acquire(wait=False)
        assert read_content(path) == {"held": True}
        process.kill()
    assert not is_locked(path)
    assert read_content(path) == {"held": True}
    with Lock(path) as lock:
        assert is_locked(path)
        lock.write({})
    assert not is_locked(path)
    assert read_content(path) == {}


def test_a_lock_is_acquired_on_the_file_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with Lock(path):
        path.unlink()
        with Lock(path):
            assert is_locked(path)
    (tmp_path / "gone").mkdir()
    lock = Lock(tmp_path / "gone" / "lock")
    (tmp_path / "gone").rmdir()
    with pytest.raises(FileNotFoundError, match="gone/lock"):
        lock.acquire()


@pytest.mark.parametrize("content", ["", "{", "3", "[1]", "\0"])
def test_a_content_that_is_not_whole_is_read_as_none(content: str, tmp_path: Path) -> None:
    (tmp_path / "lock").write_text(content)
    assert read_content(tmp_path / "lock") == {}


def test_a_named_lock_lies_in_the_state_folder(tmp_path: Path) -> None:
    with locked("gate", tmp_path) as folder:
        assert folder == tmp_path / ".tidecast"
        assert is_locked(folder / "gate.lock")
        with locked("other", tmp_path):
            pass
    assert not is_locked(folder / "gate.lock")


def test_a_folder_is_held_by_one_tidecast_up_whose_servers_others_find(tmp_path: Path) -> None:
    assert server_environment(tmp_path) == {}
    with hold_folder(tmp_path) as lock:
        assert lock.leftover == {}
        assert server_environment(tmp_path) == {}
        lock.write({"environment": {"A": "b"}})
        assert server_environment(tmp_path) == {"A": "b"}
        with pytest.raises(InputError, match=r"tidecast up already runs in .*, as process \d+; end that one first"):
            hold_folder(tmp_path).__enter__()
    assert server_environment(tmp_path) == {}
    (tmp_path / LOCK).write_text('{"pid": 17, "environment": {"A": "b"}}')
    assert server_environment(tmp_path) == {}
    with hold_folder(tmp_path) as lock:
        assert lock.leftover["pid"] == 17

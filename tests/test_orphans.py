"""Whether the process that records a run is gone: never said of one that lives, or that cannot be seen from here."""

import os
import subprocess
import time
from collections.abc import Iterator

import pytest
from prefect.states import Cancelling, Completed, Pending, Running

from tasks.orphans import end_of
from tasks.tracking.orphans import OrphanedRun, reason_orphaned
from tasks.tracking.processes import _numbering, _started, is_gone, own_process
from tasks.tracking.runs import HEARTBEAT, PROCESS


@pytest.fixture
def child() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A process that waits, and how a run names it."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process, f"host {_numbering()} {process.pid} {_started(process.pid)}"
        process.kill()


def test_a_process_is_gone_once_it_has_ended_even_if_nobody_has_heard_of_it(
    child: tuple[subprocess.Popen[bytes], str],
) -> None:
    process, named = child
    assert is_gone(named) is False
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and stays a zombie
    assert is_gone(named) is True
    process.wait()
    assert is_gone(named) is True


def test_a_number_that_another_process_has_got_since_is_no_life() -> None:
    host, numbering, number, started = own_process().split()
    assert is_gone(f"{host} {numbering} {number} {started}") is False
    assert is_gone(f"{host} {numbering} {number} {int(started) - 100}") is True


def test_of_another_machine_container_or_start_of_this_one_nothing_is_known() -> None:
    host, numbering, number, started = own_process().split()
    assert is_gone(f"{host} {numbering}0 {number} {started}") is None


@pytest.mark.parametrize(("silent", "heard", "dead"), [(660, 1e6, True), (540, 1e6, False), (6000, 60, False)])
def test_what_cannot_be_seen_is_dead_after_ten_silent_minutes_in_which_it_could_be_heard(
    silent: float, heard: float, dead: bool
) -> None:
    tags = {PROCESS: "far elsewhere 17 4", HEARTBEAT: str(time.time() - silent)}
    assert reason_orphaned(tags, heard) == ("far gave no sign of life for 11 minutes" if dead else "")


def test_a_flow_run_ends_with_its_process_but_not_if_another_has_taken_it_up() -> None:
    run, before = (
        OrphanedRun("a", "it is gone", time.time() + 5, "b"),
        OrphanedRun("a", "it is gone", time.time() - 5, "b"),
    )
    ended = [end_of(Running(), run), end_of(Cancelling(), run), end_of(Cancelling(), before)]
    assert [state and state.name for state in ended] == ["Crashed", "Cancelled", "Cancelled"]
    assert [end_of(Running(), before), end_of(Pending(), run), end_of(Completed(), run)] == [None] * 3

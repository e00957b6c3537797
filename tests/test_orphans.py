"""Orphans: a process that lives, or cannot be seen from here and reported lately, is never taken for gone."""

import os
import subprocess
import time
from collections.abc import Iterator

import pytest
from prefect.states import Cancelling, Completed, Pending, Running

from tasks.orphans import end_of
from tasks.tracking.orphans import OrphanedRun, reason_orphaned
from tasks.tracking.processes import is_gone, pid_namespace, start_time, this_process
from tasks.tracking.runs import HEARTBEAT, PROCESS


@pytest.fixture
def child() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A process that waits, and its name in a run's tags."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process, f"host {pid_namespace()} {process.pid} {start_time(process.pid)}"
        process.kill()


def test_a_process_is_gone_once_it_has_ended_even_if_nobody_has_waited_for_it(
    child: tuple[subprocess.Popen[bytes], str],
) -> None:
    process, named = child
    assert is_gone(named) is False
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and stays a zombie
    assert is_gone(named) is True
    process.wait()
    assert is_gone(named) is True


def test_a_process_is_gone_where_another_has_its_number_now() -> None:
    host, namespace, number, started = this_process().split()
    assert is_gone(f"{host} {namespace} {number} {started}") is False
    assert is_gone(f"{host} {namespace} {number} {int(started) - 100}") is True


def test_nothing_is_known_of_a_process_of_another_machine_container_or_start_of_this_one() -> None:
    host, namespace, number, started = this_process().split()
    assert is_gone(f"{host} {namespace}0 {number} {started}") is None


@pytest.mark.parametrize(("silent", "listening", "orphaned"), [(660, 1e6, True), (540, 1e6, False), (6000, 60, False)])
def test_a_process_that_cannot_be_seen_is_gone_after_ten_silent_minutes_in_which_the_tracker_listened(
    silent: float, listening: float, orphaned: bool
) -> None:
    tags = {PROCESS: "far elsewhere 17 4", HEARTBEAT: str(time.time() - silent)}
    assert reason_orphaned(tags, listening) == ("far has sent no heartbeat for 11 minutes" if orphaned else "")


def test_a_flow_run_ends_with_its_process_unless_another_process_has_taken_it_up() -> None:
    now = time.time()
    run, before = OrphanedRun("a", "it is gone", now + 5, "b"), OrphanedRun("a", "it is gone", now - 5, "b")
    ended = [end_of(Running(), run), end_of(Cancelling(), run), end_of(Cancelling(), before)]
    assert [state and state.name for state in ended] == ["Crashed", "Cancelled", "Cancelled"]
    assert [end_of(Running(), before), end_of(Pending(), run), end_of(Completed(), run)] == [None] * 3

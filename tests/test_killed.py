"""Real processes that train and are killed at random moments."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL

from tests.support.killing import KINDS

ROOT = Path(__file__).parent.parent
KILLS = 5
"""How often each kind is killed; `python -m tests.support.killing` takes another number."""


@pytest.mark.timeout(900)
def test_a_training_killed_at_any_moment_and_started_again_ends_as_one_that_was_left_alone(
    prefect_server: None, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.killing", str(tmp_path), "--kills", str(KILLS)],
        cwd=ROOT,
        env={**os.environ, "PREFECT_API_URL": str(PREFECT_API_URL.value())},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    counts = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["kind"] for line in counts] == list(KINDS)
    assert [sum(line["killed"].values()) for line in counts] == [KILLS] * len(KINDS)

"""The command `tidecast` as a process: quick where there is nothing to train, and ended by Ctrl-C at any time."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HEAVY = {"prefect", "mlflow", "torch", "matplotlib", "pandas"}
LOADED = """
import sys
from flows.commands import run
status = run(sys.argv[2:])
print(status, *sorted(set(sys.argv[1].split(",")) & set(sys.modules)), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("line", "status", "needed"),
    [
        ("recipes", 0, set()),
        ("--help", 0, set()),
        ("fly", 2, {"prefect"}),
        ("train --help", 0, {"prefect"}),
        ("train gru-sin", 2, {"prefect"}),
        ("train sine --fit.epochs 0", 2, {"prefect"}),
        ("train sine --window.length 5000", 2, {"prefect", "pandas"}),
    ],
)
def test_an_answer_without_training_waits_for_few_libraries(
    line: str, status: int, needed: set[str], tmp_path: Path
) -> None:
    command = [sys.executable, "-c", LOADED, ",".join(HEAVY), *line.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    found, *loaded = done.stderr.splitlines()[-1].split()
    assert int(found) == status
    assert set(loaded) == needed
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_the_server_starts_ends_the_command_and_the_server(tmp_path: Path) -> None:
    command = [Path(sys.executable).parent / "tidecast", "train", "elman-sine"]
    own = {"PREFECT_HOME": str(tmp_path / ".prefect"), "PREFECT_LOGGING_LEVEL": "INFO"}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))}
    with subprocess.Popen(
        command, cwd=tmp_path, env={**inherited, **own}, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as started:
        assert started.stderr is not None
        assert any("Starting temporary server" in line for line in started.stderr)
        time.sleep(1)  # of the seconds that the server takes
        os.killpg(started.pid, signal.SIGINT)
        rest = started.communicate(timeout=60)[1]
    assert started.returncode == 130
    assert "tidecast: interrupted" in rest
    with pytest.raises(ProcessLookupError):
        os.killpg(started.pid, 0)

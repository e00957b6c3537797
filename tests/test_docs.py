"""The documents against the code: every command in the README is run, every option is in the reference."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.catalogue import recipes
from flows.parameters import options_of
from flows.train import train
from tests.services import free_port, wait_for

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BIN = Path(sys.executable).parent
STAYS_OPEN = ("prefect server start", "prefect worker start")


def commands(begin: str) -> list[str]:
    """The lines of the README's console blocks that start with `$ begin`."""
    blocks = re.findall(r"```console\n(.*?)```", README, re.S)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith(f"$ {begin}")]


def leaves(fields: dict[str, object], prefix: str = "--") -> list[str]:
    """The options of a nested schema, `--fit.epochs`."""
    found = []
    for name, field in fields.items():
        inner = getattr(getattr(field, "annotation", None), "model_fields", None)
        flag = prefix + name.replace("_", "-")
        found += leaves(inner, f"{flag}.") if inner else [flag]
    return found


def test_the_reference_of_options_is_what_the_code_says() -> None:
    written = (ROOT / "docs" / "cli.md").read_text()
    (recipe,) = re.findall(r"^docs:.*\n\t@\$\(BIN\)/(.*) > docs/cli.md", (ROOT / "Makefile").read_text(), re.M)
    done = subprocess.run([BIN / "python", *shlex.split(recipe)[1:]], capture_output=True, text=True, check=True)
    assert written == done.stdout, "run make docs"
    options = leaves(dict(options_of(train.fn).model_fields))
    assert len(options) > 40
    for option in [*options, "--json"]:
        assert re.search(rf"^\* `{option}[ `]", written, re.M), option


def test_every_option_has_a_description() -> None:
    written = (ROOT / "docs" / "cli.md").read_text()
    assert [line for line in written.splitlines() if re.match(r"^\* `--[^`]+`:? *(\*|$)", line)] == []


def test_the_readme_names_every_file_of_the_three_rooms_and_no_other() -> None:
    tree = README.split("## What is where")[1].split("```")[1]
    named = set(re.findall(r"^  (\w+\.py)", tree, re.M))
    there = {path.name for room in ("flows", "tasks", "models") for path in (ROOT / room).glob("[a-z]*.py")}
    assert named == there


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
    texts = [README, (ROOT / "CONTRIBUTING.md").read_text(), (ROOT / ".ci" / "run").read_text()]
    named = {name for text in texts for name in re.findall(r"(?:`|\$ |^)make (\w+)", text, re.M)}
    assert {"run", "test", "lint"} <= named <= targets


def test_every_link_leads_somewhere() -> None:
    for name in ("README.md", "CONTRIBUTING.md"):
        for link in re.findall(r"\]\(([^)#]+)\)", (ROOT / name).read_text()):
            assert link.startswith("http") or (ROOT / link).exists(), link


def test_the_readme_shows_every_recipe() -> None:
    assert [name for name in recipes("train") if f"| `{name}` |" not in README] == []


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a clone has, and what its commands write."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("data", "flows", "tasks", "models", "prefect.yaml", "prefect.toml"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def environment(folder: Path, **more: str) -> dict[str, str]:
    own = {"PATH": f"{BIN}:{os.environ['PATH']}", "PREFECT_HOME": str(folder / ".prefect"), "COLUMNS": "200"}
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "MLFLOW_"))}
    return {**inherited, **own, **more}


@pytest.mark.parametrize("command", commands("tidecast"))
def test_every_tidecast_command_in_the_readme_runs(command: str, clone: Path) -> None:
    done = subprocess.run(
        shlex.split(command),
        cwd=clone,
        env=environment(clone),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "Warning" not in done.stderr
    if "--json" in command:
        summary = json.loads((clone / "summary.json").read_text())
        parts = {"recipe", "experiment", "parent_run_id", "chosen", "models", "baselines", "seconds"}
        assert set(summary) == parts
        assert set(summary["models"][summary["chosen"]]) == {"run_id", "seconds", "metrics"}
        assert set(summary["baselines"]) == {"last_value", "seasonal_naive", "linear_ar"}
        assert set(summary["seconds"]) == {"start", "train", "record", "total"}
        assert summary["seconds"]["start"] + summary["seconds"]["train"] < summary["seconds"]["total"]


def test_the_python_in_the_readme_runs_after_the_commands(clone: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.S)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=clone, env=environment(clone), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("2002-") == 4  # four weeks beyond December 2001, each from the same cutoff


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The commands that stay open; all are ended at the end."""
    opened: list[subprocess.Popen[bytes]] = []
    yield opened
    for process in reversed(opened):
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def test_the_prefect_commands_in_the_readme_take_a_recipe_through_a_worker(
    clone: Path, terminals: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    port = free_port()
    api = f"http://127.0.0.1:{port}/api"
    tracking = f"sqlite:///{tmp_path}/mlflow.db"
    env = environment(clone, PREFECT_API_URL=api, PREFECT_SERVER_API_PORT=str(port), MLFLOW_TRACKING_URI=tracking)
    for command in commands("prefect"):
        if command.startswith(STAYS_OPEN):
            with (tmp_path / "log").open("ab") as log:
                terminals.append(
                    subprocess.Popen(
                        shlex.split(command), cwd=clone, env=env, stdout=log, stderr=log, start_new_session=True
                    )
                )
            wait_for(f"{api}/health")
        else:
            done = subprocess.run(
                shlex.split(command), cwd=clone, env=env, capture_output=True, text=True, timeout=200, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr + (tmp_path / "log").read_text()
    assert "Completed" in done.stdout
    assert (tmp_path / "mlflow.db").is_file()

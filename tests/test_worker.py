"""`tidecast worker`: which workers it would start, and how it refuses; test_up.py starts real ones."""

import subprocess
import sys
from pathlib import Path

import pytest

from flows.services import workers
from flows.services.workers import cpu_worker, gpu_workers
from tests.support.environment import user_environment
from tests.support.services import free_port


def refusal_of(folder: Path, *arguments: str, **environment: str) -> str:
    """Return the one line with which `tidecast worker` refuses."""
    done = subprocess.run(
        [Path(sys.executable).parent / "tidecast", "worker", *arguments],
        cwd=folder,
        env=user_environment(PREFECT_HOME=str(folder / ".prefect"), **environment),
        capture_output=True,
        text=True,
        check=False,
    )
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2
    return line


def test_each_gpu_gets_a_worker_of_its_own_that_sees_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "visible_gpus", lambda: ["0", "3", "MIG-11b2"])
    started = gpu_workers("box")
    assert [(each.name, each.gpus) for each in started] == [
        ("box-gpu0", "0"),
        ("box-gpu3", "3"),
        ("box-gpu2", "MIG-11b2"),
    ]
    assert {(each.pool, each.limit) for each in started} == {("gpu", 1)}
    assert str(started[0]) == "box-gpu0 takes one flow run at a time from the pool gpu"


def test_the_cpu_takes_a_flow_run_a_core_and_hides_the_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "cores", lambda: 6)
    each = cpu_worker("box")
    assert (each.name, each.gpus, each.pool, each.limit) == ("box-cpu", "", "cpu", 6)
    assert cpu_worker("box", limit=2).limit == 2


def test_a_worker_without_a_server_says_how_to_get_one(tmp_path: Path) -> None:
    assert "set PREFECT_API_URL, or start one with tidecast up" in refusal_of(tmp_path)


def test_a_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/api"
    assert f"no Prefect server answers at {url} (PREFECT_API_URL)" in refusal_of(tmp_path, PREFECT_API_URL=url)


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        (["--limit", "0"], 'Invalid value "0" for --limit. Must be >= 1.'),
        (["--pool", "tpu"], 'Invalid value "tpu" for --pool. Choose from: "gpu", "cpu". Did you mean "gpu"?'),
        (["--name", "a/b"], "--name a/b: a worker's name cannot contain / or %; choose another"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], refusal: str, tmp_path: Path) -> None:
    assert refusal_of(tmp_path, *arguments) == f"tidecast: {refusal}"

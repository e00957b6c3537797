"""`tidecast add` in a copy of the project, and the deployments that Prefect makes of what it writes."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.settings import get_current_settings

from flows.catalogue import ROOT
from flows.services.deployments import make_pools
from tests.support.environment import user_environment

(COMMAND,) = [line[2:] for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("$ tidecast add")]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project's files, in which the command writes."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("data", "flows", "tasks", "models"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("prefect.yaml", "prefect.toml"):
        shutil.copy(ROOT / name, folder)
    return folder


def tidecast(folder: Path, command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", *shlex.split(command)],
        cwd=folder,
        env=user_environment(COLUMNS="200"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def added(copy: Path) -> Path:
    """The catalogue that the command of the README has written."""
    done = tidecast(copy, COMMAND.removeprefix("tidecast "))
    assert done.returncode == 0, done.stderr
    shown = (ROOT / "README.md").read_text().split(f"$ {COMMAND}\n")[1].split("```")[0]
    assert done.stdout == shown.replace("/home/you/tidecast", str(copy))
    return copy / "prefect.local.yaml"


def test_the_three_flows_of_a_series_are_written(added: Path, copy: Path) -> None:
    train, forecast, monitor = yaml.safe_load(added.read_text())["deployments"]
    assert {each["name"] for each in (train, forecast, monitor)} == {"mauna-loa"}
    series = {"path": str(copy / "data" / "co2.csv"), "time": "date", "value": "co2", "name": "mauna-loa"}
    assert train["parameters"] == {"recipe": "mauna-loa", "series": series, "horizon": 26}
    assert train["triggers"][0]["match"] == {"prefect.resource.id": "tidecast.series.mauna-loa"}
    assert forecast["parameters"] == {"model": "mauna-loa", "horizon": 26}
    assert monitor["parameters"] == {"model": "mauna-loa"}
    project = yaml.safe_load((copy / "prefect.yaml").read_text())["deployments"]
    for own in (train, forecast, monitor):
        (like,) = [each for each in project if (each["entrypoint"], each["name"]) == (own["entrypoint"], "co2")]
        assert set(own) == set(like)
        assert {name: own[name] for name in ("work_pool", "schedules", "concurrency_limit")} == {
            name: like[name] for name in ("work_pool", "schedules", "concurrency_limit")
        }


def test_all_commands_know_the_recipe(added: Path, copy: Path) -> None:
    listed = tidecast(copy, "recipes").stdout
    assert " mauna-loa  " in listed
    refused = tidecast(copy, "train mauna-loa --window.length 100000")
    assert refused.returncode == 2
    assert "hold no window of 100000 values and 26 to forecast" in refused.stderr  # the recipe's series and horizon


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("add mauna-loa --series.path data/co2.csv", "mauna-loa has been added before; give --replace"),
        ("add co2 --series.path data/co2.csv", "co2 is a recipe of the project; choose another name"),
        ("add 'Mauna Loa' --series.path data/co2.csv", "'Mauna Loa' is no name for a recipe"),
        ("add other --horizon 3", "no series is given; name a file with --series.path"),
        ("add other --series.path gone.csv", "there is no file gone.csv"),
        ("add other --series.path data/co2.csv --series.time date --series.value co2 --horizon 0", "--horizon"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(command: str, message: str, added: Path, copy: Path) -> None:
    before = added.read_bytes()
    done = tidecast(copy, command)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert added.read_bytes() == before


def test_a_series_can_be_replaced_and_others_stay(added: Path, copy: Path) -> None:
    of_co2 = "--series.path data/co2.csv --series.time date --series.value co2"
    assert tidecast(copy, f"add second {of_co2} --window.length 60").returncode == 0
    assert tidecast(copy, f"add second {of_co2} --replace --models gru").returncode == 0
    deployments = yaml.safe_load(added.read_text())["deployments"]
    assert [each["name"] for each in deployments] == ["mauna-loa"] * 3 + ["second"] * 3
    assert "window" not in deployments[3]["parameters"]
    assert deployments[3]["parameters"]["models"] == ["gru"]
    assert "horizon" not in deployments[4]["parameters"]


def test_a_file_that_add_has_not_written_is_refused_in_one_line(added: Path, copy: Path) -> None:
    before = added.read_bytes()
    added.write_text("deployments: [{name: x}]\n")
    try:
        done = tidecast(copy, "recipes")
    finally:
        added.write_bytes(before)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "prefect.local.yaml is no catalogue of deployments" in done.stderr


def test_prefect_deploys_the_file(prefect_server: None, added: Path, copy: Path) -> None:
    make_pools(["gpu", "cpu"])
    url = str(get_current_settings().api.url)
    subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", added.name],
        cwd=copy,
        env=user_environment(PREFECT_API_URL=url, PWD=str(copy)),
        check=True,
        capture_output=True,
        timeout=120,
    )
    with get_client(sync_client=True) as client:
        deployed = [each for each in client.read_deployments() if each.name == "mauna-loa"]
    assert sorted(str(each.entrypoint) for each in deployed) == [
        "flows/forecast.py:forecast",
        "flows/monitor.py:monitor",
        "flows/train.py:train",
    ]
    assert all(not schedule.active for each in deployed for schedule in each.schedules)

"""The documents fit the code: every command in the README runs, every option is in the reference."""

import json
import math
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml

from flows.backtest import backtest
from flows.catalogue import CATALOGUE, recipes_of
from flows.forecast import forecast
from flows.monitor import monitor
from flows.parameters import options_of
from flows.train import train
from models.baselines import BASELINES
from tests.support.environment import user_environment
from tests.support.services import free_port, wait_for
from tests.support.stack import Stack, Up

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [path for folder in (".", "docs", "benchmarks", "data") for path in sorted((ROOT / folder).glob("*.md"))]
GUIDES = {path.name: path.read_text() for path in PAGES if path.parent.name == "docs" and path.name != "cli.md"}
"""The pages in docs/ by name, without the reference, which is generated."""
BIN = Path(sys.executable).parent


def commands(begin: str, without: str = "") -> list[str]:
    """Return the commands in console blocks of the README and the guides that start with `begin`, each once.

    The page `without` is left out.
    """
    pages = [README, *(page for name, page in GUIDES.items() if name != without)]
    blocks = re.findall(r"```console\n(.*?)```", "\n".join(pages), re.S)
    lines = [line[2:] for block in blocks for line in block.splitlines() if line.startswith(f"$ {begin}")]
    return list(dict.fromkeys(lines))


def leaves(fields: dict[str, object], prefix: str = "--") -> list[str]:
    """Return the options of nested fields, such as `--fit.epochs`."""
    options = []
    for name, field in fields.items():
        inner = getattr(getattr(field, "annotation", None), "model_fields", None)
        flag = prefix + name.replace("_", "-")
        options += leaves(inner, f"{flag}.") if inner else [flag]
    return options


def test_the_reference_of_options_is_up_to_date() -> None:
    written = (ROOT / "docs" / "cli.md").read_text()
    (recipe,) = re.findall(r"^docs:.*\n\t@\$\(BIN\)/(.*) > docs/cli.md", (ROOT / "Makefile").read_text(), re.M)
    done = subprocess.run([BIN / "python", *shlex.split(recipe)[1:]], capture_output=True, text=True, check=True)
    assert written == done.stdout, "run make docs"
    options = [
        leaf for flow in (train, backtest, forecast, monitor) for leaf in leaves(dict(options_of(flow.fn).model_fields))
    ]
    assert len(options) > 60
    for option in [*options, "--json"]:
        assert re.search(rf"^\* `{option}[ `]", written, re.M), option


def test_every_option_has_a_description() -> None:
    written = (ROOT / "docs" / "cli.md").read_text()
    assert [line for line in written.splitlines() if re.match(r"^\* `--[^`]+`:? *(\*|$)", line)] == []


def files_in(tree: str) -> list[tuple[str, str]]:
    """Return the files of an indented tree, as paths with their descriptions."""
    folders, files = list[str](), list[tuple[str, str]]()
    for line in tree.strip("\n").splitlines():
        name, _, description = line.lstrip().partition(" ")
        depth = (len(line) - len(line.lstrip())) // 2
        folders = folders[:depth]
        if name.endswith("/"):
            folders.append(name)
        else:
            files.append(("".join([*folders, name]), description.strip()))
    return files


def test_the_map_names_every_file_of_the_three_floors_once_and_no_other() -> None:
    described = files_in(GUIDES["map.md"].split("```")[1])
    existing = [path for floor in ("flows", "tasks", "models") for path in (ROOT / floor).rglob("*.py")]
    paths = [path.relative_to(ROOT).as_posix() for path in existing if path.name != "__init__.py"]
    assert sorted(name for name, _ in described) == sorted(paths)
    assert [name for name, description in described if not description] == []


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
    texts = [README, *GUIDES.values(), (ROOT / "CONTRIBUTING.md").read_text(), (ROOT / ".ci" / "run").read_text()]
    named = {name for text in texts for name in re.findall(r"(?:`|\$ |^)make (\w+)", text, re.M)}
    assert {"run", "test", "lint"} <= named <= targets


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)", page.read_text(), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if not link.startswith("http"):
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def test_the_readme_links_to_every_page() -> None:
    pages = {path.relative_to(ROOT).as_posix() for path in PAGES} - {"README.md", "data/README.md"}
    assert pages <= set(re.findall(r"\]\(([^)#]+)", README))


def test_the_recipes_are_all_shown() -> None:
    listed = README.split("$ tidecast recipes\n")[1].split("```")[0]
    assert [
        name for name in recipes_of("train") | recipes_of("backtest") if not re.search(rf"^ {name} ", listed, re.M)
    ] == []
    assert [name for name in recipes_of("train") if f"| `{name}` |" not in GUIDES["recipes.md"]] == []


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of a clone, in which the commands of the README run and write."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("data", "flows", "tasks", "models", "prefect.yaml", "prefect.toml"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def environment(folder: Path, **settings: str) -> dict[str, str]:
    common = {"PATH": f"{BIN}:{os.environ['PATH']}", "PREFECT_HOME": str(folder / ".prefect"), "COLUMNS": "200"}
    return user_environment(**common, **settings)


# `tidecast add` writes into the clone itself: test_add.py runs it in a copy.
ELSEWHERE = ("tidecast up", "tidecast add")


@pytest.mark.parametrize("command", [line for line in commands("tidecast") if not line.startswith(ELSEWHERE)])
def test_every_tidecast_command_in_the_documents_runs(command: str, clone: Path) -> None:
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
        parts = {"recipe", "experiment", "parent_run_id", "chosen", "models", "baselines", "registered", "seconds"}
        parts |= {"chosen_by", "better_baseline", "horizon", "settings"}
        assert set(summary) == parts
        assert set(summary["models"][summary["chosen"]]) == {"run_id", "seconds", "metrics"}
        assert set(summary["baselines"]) == set(BASELINES)
        assert set(summary["seconds"]) == {"start", "train", "record", "total"}
        assert summary["seconds"]["start"] + summary["seconds"]["train"] < summary["seconds"]["total"]


def test_the_python_in_the_documents_runs_after_the_commands(clone: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", "\n".join([README, *GUIDES.values()]), re.S)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=clone, env=environment(clone), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("2002-") == 4  # four weeks after December 2001, all from one cutoff


def test_the_request_in_the_documents_is_answered_by_the_champion_of_their_commands(clone: Path) -> None:
    (serve,), (request,) = commands("mlflow models serve"), commands("curl")
    port = free_port()
    url, body = re.findall(r"http://\S+", request)[0], shlex.split(request)[-1]
    tracking = f"sqlite:///{clone}/mlflow.db"
    with (clone / "serve.log").open("wb") as log:
        server = subprocess.Popen(
            [*shlex.split(serve)[:-1], str(port)],
            cwd=clone,
            env=environment(clone, MLFLOW_TRACKING_URI=tracking),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/ping")
        url = url.replace(":5002", f":{port}")
        answer = httpx.post(url, content=body, headers={"Content-Type": "application/json"}, timeout=60)
        answered = [row["gru"] for row in answer.json()["predictions"]]
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)
    (answer_shown,) = re.findall(r'^\{"predictions".*', "\n".join([README, *GUIDES.values()]), re.M)
    shown = json.loads(answer_shown)
    assert answered == pytest.approx([row["gru"] for row in shown["predictions"]], abs=0.001)
    assert answered == pytest.approx([math.cos(1.0), math.cos(1.1), math.cos(1.2)], abs=0.003)


# The three in production.md set up a Prefect server of their own, where `tidecast up` has made the pools already.
@pytest.mark.parametrize("command", commands("prefect", without="production.md"))
def test_every_prefect_command_outside_production_md_runs_beside_tidecast_up(command: str, up: Up) -> None:
    env = {**Stack(up).environment, "PREFECT_HOME": str(up.folder / ".prefect"), "COLUMNS": "200"}
    done = subprocess.run(
        shlex.split(command), cwd=up.folder, env=env, capture_output=True, text=True, timeout=250, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if "--watch" in command:
        assert "Completed" in done.stdout


def test_tidecast_up_prints_what_the_readme_shows(up: Up) -> None:
    block = README.split("$ tidecast up\n")[1].split("\n```")[0]
    output = up.output.replace(str(up.folder), "/home/you/tidecast").replace(socket.gethostname(), "laptop")
    output = output.replace(f":{up.prefect}", ":4200").replace(f":{up.mlflow}", ":5000")
    limit = re.compile(r"takes \w+ flow runs? at")  # the number of cores
    assert limit.sub("takes some at", output.strip()) == limit.sub("takes some at", block.strip())


PRODUCTION = (ROOT / "docs" / "production.md").read_text()
COMPOSE = (ROOT / "compose.yaml").read_text()


def test_the_production_page_names_files_targets_options_and_settings_that_exist() -> None:
    files = set(re.findall(r"`(?!/)([\w./-]+\.(?:py|yaml|example))`", PRODUCTION))
    assert "prefect.yaml" in files
    assert [name for name in files if not (ROOT / name).exists()] == []
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
    assert {"install"} <= set(re.findall(r"`make (\w+)", PRODUCTION)) <= targets
    sections = (ROOT / "docs" / "cli.md").read_text().split("\n## tidecast ")
    reference = {section.split("\n", 1)[0]: section for section in sections}
    for command, rest in re.findall(r"(?:`|bin/)tidecast (\w+)([^`\n]*)", PRODUCTION):
        missing = [option for option in re.findall(r"--[\w-]+", rest) if f"`{option}" not in reference[command]]
        assert missing == [], command
    settings = set(re.findall(r"\b(?:PREFECT|MLFLOW|TIDECAST|PG)[A-Z_]+\b", PRODUCTION))
    assert len(settings) > 20
    assert [name for name in settings if name not in COMPOSE] == []


def test_the_systemd_units_of_the_production_page_start_what_compose_starts() -> None:
    commands = re.findall(r"^ExecStart=/srv/tidecast/.venv/bin/(.*)", PRODUCTION, re.M)
    services = yaml.safe_load(COMPOSE)["services"]
    composed = [" ".join(services[name]["command"]) for name in ("prefect", "mlflow")]
    assert commands == [*(command.replace("0.0.0.0", "127.0.0.1") for command in composed), "tidecast worker"]  # noqa: S104
    accounts = yaml.safe_load(COMPOSE)["configs"]["mlflow-accounts"]["content"].replace("@postgres:", "@127.0.0.1:")
    (written,) = re.findall(r"```ini\n(\[mlflow\]\n.*?)```", PRODUCTION, re.S)
    assert re.sub(r"^#.*\n", "", written, flags=re.M) == accounts


def test_the_series_of_the_production_page_fits_the_flows() -> None:
    (added,) = re.findall(r"```yaml\n(.*?)```", PRODUCTION, re.S)
    demand = yaml.safe_load(CATALOGUE.read_text() + "\n" + added)["deployments"][-1]
    parameters = {name: value for name, value in demand["parameters"].items() if name != "recipe"}
    assert options_of(train.fn).model_validate(parameters).model_dump(exclude_unset=True)["series"]["name"] == "demand"
    others = re.findall(r"`(\{model: demand.*?\})`", PRODUCTION)
    for function, parameters in zip((forecast, monitor), others, strict=True):
        options_of(function.fn).model_validate(yaml.safe_load(parameters))

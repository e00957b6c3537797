"""What `compose.yaml` describes, with real servers: twenty flow runs at a time, and no password in anything written."""

import base64
import json
import re
import secrets
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import psutil
import psycopg
import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run

from models.baselines import BASELINES
from models.specs import COMBINED
from tasks.combination import with_combined
from tests.support.compose import ROOT, Compose, fill_in
from tests.support.services import PostgreSQL, all_rows, free_port
from tests.support.tracked import (
    all_runs,
    check_that_no_metric_is_lost,
    check_that_no_run_state_is_left,
    check_that_nothing_is_mixed,
    check_the_champions,
    children,
    parents,
)
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(900)
WORKERS, LIMIT = 4, 5
SMALL: dict[str, tuple[int, dict[str, Any]]] = {
    "sine": (1, {"models": ["rnn", "gru"], "fit": {"epochs": 2}}),
    "gru-sine": (4, {"fit": {"epochs": 20}}),
    "gru-cosine": (2, {"fit": {"epochs": 20}}),
    "elman-sine": (6, {"elman": {"epochs": 10}}),
    "numpy-rnn-sine": (6, {"numpy_rnn": {"epochs": 5}}),
    "co2": (1, {"models": ["gru"], "fit": {"epochs": 2, "members": 1}}),
}
"""How many flow runs each recipe gets, and the parameters that make them small."""
# Not INERROR, the state of a psycopg connection whose run lost a race for a name: MLflow tries again.
ERRORS = re.compile(r"\bERROR\b|\bCRITICAL\b|Traceback|database is locked")


@dataclass
class Production:
    """The running services with their passwords, and the flow runs that they were sent."""

    compose: Compose
    database: PostgreSQL
    runs: list[dict[str, Any]] = field(default_factory=list)
    command_lines: set[str] = field(default_factory=set)

    def ask(self, path: str, data: Any = None, method: str = "POST") -> Any:
        """Return the answer of Prefect's server to a request."""
        user = self.compose.environment("worker")["PREFECT_API_AUTH_STRING"]
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.compose.ports['4200']}/api/{path}",
            data=json.dumps({} if data is None else data).encode(),
            headers={
                "Content-Type": "application/json",
                "Authorization": f"Basic {base64.b64encode(user.encode()).decode()}",
            },
            method=method,
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return json.loads(answer.read() or "null")

    def deployments(self) -> dict[str, dict[str, Any]]:
        """Return the deployments by `flow/name`."""
        return {f"{each['entrypoint'].split(':')[1]}/{each['name']}": each for each in self.ask("deployments/filter")}

    def send_runs(self) -> None:
        """Create all flow runs at once, and wait until each has ended."""
        deployments, run_ids = self.deployments(), []
        for name in SMALL:
            # There is no GPU here; and with one run at a time, runs could not disturb each other.
            settings = {"work_pool_name": "cpu", "concurrency_limit": None}
            self.ask(f"deployments/{deployments[f'train/{name}']['id']}", settings, "PATCH")
        for name, (count, changes) in SMALL.items():
            recipe = deployments[f"train/{name}"]["parameters"]
            small = {
                key: {**recipe.get(key, {}), **value} if isinstance(value, dict) else value
                for key, value in changes.items()
            }
            for seed in range(count):
                run = {"parameters": {**small, "seed": seed}}
                run_ids.append(self.ask(f"deployments/{deployments[f'train/{name}']['id']}/create_flow_run", run)["id"])

        def all_have_ended() -> bool:
            self.command_lines |= {" ".join(each.info["cmdline"] or ()) for each in psutil.process_iter(["cmdline"])}
            self.runs = self.ask("flow_runs/filter", {"flow_runs": {"id": {"any_": run_ids}}})
            return all(run["end_time"] for run in self.runs)

        wait_until(all_have_ended, 600, pause=3)


@pytest.fixture(scope="module")
def production(postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    variables = {
        "TIDECAST_DATABASE_PASSWORD": postgresql.password,
        "TIDECAST_PREFECT_PASSWORD": f"{secrets.token_hex(8)} :%@/?#",
        "TIDECAST_MLFLOW_PASSWORD": f"{secrets.token_hex(8)} :%@/?#",
        "TIDECAST_MLFLOW_SECRET_KEY": secrets.token_hex(32),
    }
    ports = {"5432": postgresql.port, "4200": free_port(), "5000": free_port()}
    compose = Compose(tmp_path_factory.mktemp("production"), variables, ports)
    postgresql.create(compose.environment("postgres")["POSTGRES_DB"])
    with closing(psycopg.connect(postgresql.url("postgres"), autocommit=True)) as connection:
        connection.execute(compose.file["configs"]["databases"]["content"])
    running = Production(compose, postgresql)
    try:
        for name in ("prefect", "mlflow", "deploy"):
            compose.start(name)
        workers = [f"worker{number}" for number in range(WORKERS)]
        for name in workers:
            compose.start("worker", "--limit", str(LIMIT), "--name", name, name=name)
        running.send_runs()
        assert set(compose.end(*workers).values()) == {0}
        yield running
    finally:
        compose.end(*compose.started)


@pytest.fixture(scope="module")
def mlflow(production: Production) -> Iterator[MlflowClient]:
    settings = production.compose.environment("worker")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
            patch.setenv(name, settings[name])
        yield MlflowClient(settings["MLFLOW_TRACKING_URI"])


@pytest.fixture(scope="module")
def runs(mlflow: MlflowClient) -> list[Run]:
    return all_runs(mlflow)


def test_twenty_flow_runs_at_a_time_are_completed(production: Production) -> None:
    assert Counter(run["state_name"] for run in production.runs) == {"Completed": 20}
    by_worker = Counter(run["labels"]["prefect.worker.name"] for run in production.runs)
    assert by_worker == {f"worker{number}-cpu": LIMIT for number in range(WORKERS)}
    started, ended = (sorted(run[moment] for run in production.runs) for moment in ("start_time", "end_time"))
    assert started[9] < ended[0]  # so at least ten of them ran side by side


def test_each_flow_run_has_one_finished_run_with_a_child_for_each_model(
    production: Production, runs: list[Run]
) -> None:
    assert {run.info.status for run in runs} == {"FINISHED"}
    of_flows = parents(runs)
    assert set(of_flows) == {run["id"] for run in production.runs}
    assert len(runs) == 20 + sum(len(with_combined(run["parameters"]["models"])) for run in production.runs)
    for flow_run in production.runs:
        parent = of_flows[flow_run["id"]]
        below = children(parent, runs)
        assert parent.data.tags["recipe"] == flow_run["name"]
        models = with_combined(flow_run["parameters"]["models"])
        assert sorted(str(run.data.tags["model"]) for run in below) == sorted(models)
        assert parent.data.params["seed"] == str(flow_run["parameters"]["seed"])
    check_that_nothing_is_mixed(runs)
    check_that_no_run_state_is_left(runs, ROOT)


def test_no_metric_is_missing(mlflow: MlflowClient, runs: list[Run]) -> None:
    check_that_no_metric_is_lost(mlflow, runs)
    for parent in parents(runs).values():
        below = {run.data.tags["model"]: run for run in children(parent, runs)}
        for run in below.values():
            if run.data.tags["model"] != COMBINED:  # which has no training of its own
                assert ("val_loss" in run.data.metrics) == ("val_rmse" in run.data.metrics)
        scores = {name for name in below[parent.data.tags["chosen"]].data.metrics if "rmse" in name}
        naive = {f"baseline_{name}_train_rmse" for name in BASELINES}
        assert scores | naive <= set(parent.data.metrics)


def test_each_flow_run_registers_one_version_and_the_best_that_passed_the_gate_is_champion(
    mlflow: MlflowClient, runs: list[Run]
) -> None:
    of_flows = parents(runs).values()
    registered = Counter(parent.data.tags["version"].split("/")[0] for parent in of_flows)
    assert registered == {"sine": 5, "cosine": 2, "sine-21": 6, "sine-by-radian": 6, "co2": 1}
    assert len({parent.data.tags["version"] for parent in of_flows}) == 20
    assert {model.name for model in mlflow.search_registered_models()} == set(registered)
    for name, count in registered.items():
        versions = {int(version.version): version for version in mlflow.search_model_versions(f"name = '{name}'")}
        assert sorted(versions) == list(range(1, count + 1))
        promoted = {number for number, version in versions.items() if version.tags["gate"] == "promoted"}
        assert promoted or name not in ("sine", "cosine")
    check_the_champions(mlflow, runs)


def test_no_log_contains_an_error(production: Production) -> None:
    logs = list(production.compose.folder.glob("*.log"))
    assert len(logs) == 3 + WORKERS
    errors = {path.stem: [line for line in path.read_text().splitlines() if ERRORS.search(line)] for path in logs}
    assert not any(errors.values()), errors
    assert production.ask("logs/filter", {"logs": {"level": {"ge_": 40}}}) == []  # of the flow runs


def test_no_password_is_written_down(production: Production) -> None:
    compose = production.compose
    written = {str(path): path.read_bytes() for path in compose.folder.rglob("*") if path.is_file()}
    assert any(path.startswith(f"{compose.folder}/artifacts/") and path.endswith("spec.json") for path in written)
    assert any("tidecast worker" in line for line in production.command_lines)
    written["command lines"] = "\n".join(production.command_lines).encode()
    for database in ("prefect", "mlflow"):
        written[database] = all_rows(production.database.url(database)).encode()
    assert b"prefect.flow_run_id" in written["mlflow"]
    assert b"prefect.worker.name" in written["prefect"]
    for secret in compose.variables.values():
        forms = [form.encode() for form in (secret, quote(secret, safe=""))]  # type: ignore[attr-defined]
        forms.append(base64.b64encode(f"tidecast:{secret}".encode()))
        assert [name for name, text in written.items() if any(form in text for form in forms)] == []


@pytest.mark.parametrize(
    "server_and_path", ["4200:/api/deployments/count", "5000:/api/2.0/mlflow/experiments/search", "5000:/"]
)
def test_without_a_password_nobody_is_let_in(production: Production, server_and_path: str) -> None:
    port, _, path = server_and_path.partition(":")
    request = urllib.request.Request(f"http://127.0.0.1:{production.compose.ports[port]}{path}", data=b"{}")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(request, timeout=30)  # noqa: S310


def test_an_alarm_starts_a_flow_run_that_trains_again(production: Production) -> None:
    alarm = {
        "occurred": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "event": "tidecast.forecast.degraded",
        "resource": {"prefect.resource.id": "tidecast.series.co2"},
        "id": "00000000-0000-4000-8000-000000000001",
    }
    co2 = production.deployments()["train/co2"]
    production.ask("events", [alarm])

    def retrains() -> bool:
        runs = production.ask("flow_runs/filter", {"deployments": {"id": {"any_": [co2["id"]]}}})
        return "AUTOMATION" in {(run["created_by"] or {}).get("type") for run in runs}

    wait_until(retrains, 60, pause=1)


def test_deploying_again_with_schedules_on_schedules_all_recipes(production: Production) -> None:
    before = {name: each["id"] for name, each in production.deployments().items()}
    compose = production.compose
    again = Compose(compose.folder, {**compose.variables, "TIDECAST_SCHEDULES": "resume"}, compose.ports)
    again.start("deploy", name="deploy-again")
    again.wait_for_completion("deploy-again")
    after = production.deployments()
    assert {name: each["id"] for name, each in after.items()} == before
    assert {schedule["active"] for each in after.values() for schedule in each["schedules"]} == {True}

    def are_scheduled() -> bool:
        runs = production.ask("flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}})
        return {run["deployment_id"] for run in runs if run["auto_scheduled"]} == {
            each["id"] for each in after.values() if each["schedules"]
        }

    wait_until(are_scheduled, 150, pause=1)


def test_a_password_that_is_not_set_is_refused_by_name() -> None:
    needed = re.findall(r"^(\w+)=$", (ROOT / ".env.example").read_text(), re.M)
    assert len(needed) == 4
    for name in needed:
        with pytest.raises(KeyError, match=f"{name} is not set"):
            fill_in((ROOT / "compose.yaml").read_text(), {other: "x" for other in needed if other != name})
    fill_in((ROOT / "compose.yaml").read_text(), dict.fromkeys(needed, "x"))


def test_the_example_of_settings_names_what_compose_reads() -> None:
    named = set(re.findall(r"^#?([A-Z]\w+)=", (ROOT / ".env.example").read_text(), re.M))
    text = (ROOT / "compose.yaml").read_text()
    read = set(re.findall(r"\$\{(\w+)", text)) | set(re.findall(r"^ +([A-Z]\w+):$", text, re.M))
    assert named == read


def test_ports_are_published_to_this_machine_alone() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:4200:4200", "127.0.0.1:5000:5000"]

"""`compose.yaml` without Docker: its services as processes of this machine, with their own commands and settings."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
TIMEOUT = 150
"""Seconds in which a service becomes healthy, or completes."""


def fill_in(text: str, variables: Mapping[str, str]) -> str:
    """Replace `${NAME}`, `${NAME:-default}` and `${NAME:?message}` as Compose does.

    **Raises:** `KeyError` where a variable of the last form is missing or empty.
    """

    def value(reference: re.Match[str]) -> str:
        name, mark, other = reference["name"], reference["mark"], reference["other"]
        if not name:
            return "$"  # $$
        if mark == ":?" and not variables.get(name):
            raise KeyError(f"{name} {other}")
        return variables.get(name) or (other if mark == ":-" else "")

    return re.sub(r"\$(?:\$|\{(?P<name>\w+)(?:(?P<mark>:[-?])(?P<other>[^}]*))?\})", value, text)


@dataclass
class Compose:
    """The services of the file, the ports and the folder that they use here, and the processes that were started."""

    folder: Path
    variables: Mapping[str, str]
    ports: Mapping[str, int]
    file: dict[str, Any] = field(default_factory=lambda: yaml.safe_load((ROOT / "compose.yaml").read_text()))
    started: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def here(self, text: Any) -> str:
        """Return a value of the file with the hosts, ports and paths of this machine."""
        paths = {path: str(self.folder / Path(path).name) for path in ("/srv/artifacts", *self._configs())}
        text = re.sub(r"\b(?:postgres|prefect|mlflow)(?=:\d)|\b0\.0\.0\.0\b", "127.0.0.1", str(text))
        text = re.sub(rf"\b(?:{'|'.join(self.ports)})\b", lambda port: str(self.ports[port[0]]), text)
        text = re.sub("|".join(map(re.escape, paths)), lambda path: paths[path[0]], text)
        return fill_in(text, self.variables)

    def _configs(self) -> dict[str, str]:
        """Return the files that Compose would mount into a container, each with the config that is its content."""
        mounted = [config for service in self.file["services"].values() for config in service.get("configs", [])]
        return {config["target"]: config["source"] for config in mounted}

    def environment(self, name: str) -> dict[str, str]:
        """Return the environment of a service; only PATH is that of the tests."""
        settings = self.file["services"][name].get("environment", {})
        values = {key: self.here(value) for key, value in settings.items() if value is not None}
        passed_on = {key for key, value in settings.items() if value is None} & set(self.variables)
        values |= {key: self.variables[key] for key in passed_on}
        return {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(self.folder), **values}

    def command(self, words: list[str]) -> list[str]:
        """Return a command with the hosts, ports and paths of this machine."""
        return [self.here(word) for word in words]

    def log(self, name: str) -> Path:
        """Return the log of a process."""
        return self.folder / f"{name}.log"

    def start(self, service: str, *arguments: str, name: str | None = None) -> None:
        """Start a service once the conditions of its `depends_on` hold."""
        settings = self.file["services"][service]
        for other, need in settings.get("depends_on", {}).items():
            waits = {
                "service_healthy": self.wait_for_health,
                "service_completed_successfully": self.wait_for_completion,
            }
            waits[need["condition"]](other)
        for target, source in self._configs().items():
            (self.folder / Path(target).name).write_text(self.here(self.file["configs"][source]["content"]))
        name = name or service
        with self.log(name).open("wb") as log:
            self.started[name] = subprocess.Popen(
                [*self.command(settings["command"]), *arguments],
                cwd=ROOT,
                env=self.environment(service),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_for_health(self, name: str) -> None:
        """Wait until a service's health check succeeds."""
        kind, *check = self.file["services"][name]["healthcheck"]["test"]
        assert kind == "CMD"
        deadline = time.monotonic() + TIMEOUT
        while subprocess.run(
            self.command(check), env=self.environment(name), capture_output=True, check=False
        ).returncode:
            ended = name in self.started and self.started[name].poll() is not None
            assert not ended, self.log(name).read_text()
            assert time.monotonic() < deadline, f"{name} is not healthy"
            time.sleep(1)

    def wait_for_completion(self, name: str) -> None:
        """Wait until a service has ended with status 0."""
        assert self.started[name].wait(TIMEOUT) == 0, self.log(name).read_text()

    def end(self, *names: str) -> dict[str, int]:
        """End services as Compose does; returns their exit statuses."""
        for name in names:
            self.started[name].send_signal(signal.SIGTERM)
        for name in names:
            try:
                self.started[name].wait(45)
            except subprocess.TimeoutExpired:
                os.killpg(self.started[name].pid, signal.SIGKILL)
        return {name: self.started.pop(name).wait() for name in names}

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
SLOWEST = 150
"""Seconds until a service is well, or has done what it is for."""


def fill_in(text: str, variables: Mapping[str, str]) -> str:
    """`${NAME:-default}` and its kind, as Compose fills them in.

    **Raises:** `KeyError` where a variable that has to be set is missing or empty.
    """

    def value(found: re.Match[str]) -> str:
        name, mark, other = found["name"], found["mark"], found["other"]
        if not name:
            return "$"  # $$
        if mark == ":?" and not variables.get(name):
            raise KeyError(f"{name} {other}")
        return variables.get(name) or (other if mark == ":-" else "")

    return re.sub(r"\$(?:\$|\{(?P<name>\w+)(?:(?P<mark>:[-?])(?P<other>[^}]*))?\})", value, text)


@dataclass
class Compose:
    """The services, where their ports and paths are here, and what was started of them."""

    folder: Path
    variables: Mapping[str, str]
    ports: Mapping[str, int]
    file: dict[str, Any] = field(default_factory=lambda: yaml.safe_load((ROOT / "compose.yaml").read_text()))
    started: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def here(self, text: Any) -> str:
        """A value of the file, with what it names as it is found on this machine."""
        paths = {place: str(self.folder / Path(place).name) for place in ("/srv/artifacts", *self._configs())}
        text = re.sub(r"\b(?:postgres|prefect|mlflow)(?=:\d)|\b0\.0\.0\.0\b", "127.0.0.1", str(text))
        text = re.sub(rf"\b(?:{'|'.join(self.ports)})\b", lambda found: str(self.ports[found[0]]), text)
        text = re.sub("|".join(map(re.escape, paths)), lambda found: paths[found[0]], text)
        return fill_in(text, self.variables)

    def _configs(self) -> dict[str, str]:
        """The files that Compose would put into a container, and which of its configs they hold."""
        mounted = [config for service in self.file["services"].values() for config in service.get("configs", [])]
        return {config["target"]: config["source"] for config in mounted}

    def environment(self, name: str) -> dict[str, str]:
        """What a service sees, and nothing of the environment of the tests but the path to programs."""
        given = self.file["services"][name].get("environment", {})
        passed = {key: self.here(value) for key, value in given.items() if value is not None}
        passed |= {key: self.variables[key] for key, value in given.items() if value is None and key in self.variables}
        return {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(self.folder), **passed}

    def command(self, words: list[str]) -> list[str]:
        return [self.here(word) for word in words]

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def start(self, service: str, *more: str, name: str | None = None) -> None:
        """Start a service once those that it depends on are as it needs them."""
        settings = self.file["services"][service]
        for other, need in settings.get("depends_on", {}).items():
            waits = {"service_healthy": self.be_healthy, "service_completed_successfully": self.be_done}
            waits[need["condition"]](other)
        for target, source in self._configs().items():
            (self.folder / Path(target).name).write_text(self.here(self.file["configs"][source]["content"]))
        name = name or service
        with self.log(name).open("wb") as log:
            self.started[name] = subprocess.Popen(
                [*self.command(settings["command"]), *more],
                cwd=ROOT,
                env=self.environment(service),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def be_healthy(self, name: str) -> None:
        """Wait until a service's health check succeeds."""
        kind, *words = self.file["services"][name]["healthcheck"]["test"]
        assert kind == "CMD"
        deadline = time.monotonic() + SLOWEST
        while subprocess.run(
            self.command(words), env=self.environment(name), capture_output=True, check=False
        ).returncode:
            ended = name in self.started and self.started[name].poll() is not None
            assert not ended, self.log(name).read_text()
            assert time.monotonic() < deadline, f"{name} is not healthy"
            time.sleep(1)

    def be_done(self, name: str) -> None:
        """Wait until a service has done what it is for."""
        assert self.started[name].wait(SLOWEST) == 0, self.log(name).read_text()

    def end(self, *names: str) -> dict[str, int]:
        """End services as Compose does; their exit statuses."""
        for name in names:
            self.started[name].send_signal(signal.SIGTERM)
        for name in names:
            try:
                self.started[name].wait(45)
            except subprocess.TimeoutExpired:
                os.killpg(self.started[name].pid, signal.SIGKILL)
        return {name: self.started.pop(name).wait() for name in names}

"""The command `tidecast add`."""

import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from rich.console import Console

from flows.catalogue import CATALOGUE, LOCAL_CATALOGUE, deployments_in
from flows.commands.running import Changes
from flows.commands.train import TrainOptions, check_training
from flows.parameters import options_of
from flows.train import train as train_flow
from models.errors import InputError

SCHEDULES = {"train": "0 3 * * *", "forecast": "0 6 * * *", "monitor": "0 7 * * *"}
"""When each flow runs, in UTC."""
JOB = {"env": {"PREFECT_LOGGING_EXTRA_LOGGERS": "tidecast"}}
"""Shows progress in the Prefect UI."""
HEADING = "# Deployments of your own series, written by `tidecast add`; prefect.yaml has those of the project.\n"


def add(
    name: str,
    /,
    *,
    changes: Changes[TrainOptions] = None,  # type: ignore[valid-type]
    replace: bool = False,
) -> None:
    """Add a series of yours to the catalogue: deployments that train, forecast and monitor it every day.

    They stand in prefect.local.yaml, beside the project's own. `tidecast train NAME` trains at once, and `tidecast up
    --schedules` turns the schedules on. Options that are left out are found anew in every training.

    Parameters
    ----------
    name
        Name of the series, its recipe and its model: lower-case letters, digits and dashes.
    replace
        Replace a series of this name that was added before.
    """
    given: BaseModel | None = changes
    options = options_of(train_flow.fn).model_validate(given.model_dump(exclude_unset=True) if given else {})
    path = refuse_bad_name(name, options, replace)
    check_training(dict(options))
    parameters = options.model_dump(mode="json", exclude_unset=True)
    series = {**parameters.get("series", {}), "path": str(path.absolute()), "name": name}
    kept = [each for each in deployments_in(LOCAL_CATALOGUE) if each["name"] != name]
    added = deployments_of(name, {**parameters, "series": series}, path)
    write_catalogue([*kept, *added])
    say = Console(highlight=False, soft_wrap=True).print
    times = ", ".join(f"{flow} at {cron.split()[1]}:00" for flow, cron in SCHEDULES.items())
    say(f"Added {name} to {LOCAL_CATALOGUE}: {times} UTC, every day.")
    say(f"  tidecast train {name}       trains it now")
    say("  tidecast up --schedules  runs all schedules; start it again if it is running")


def refuse_bad_name(name: str, options: Any, replace: bool) -> Path:
    """Return the path of the series' file, after checking the name and that there is a path.

    **Raises:** `InputError`.
    """
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise InputError(f"'{name}' is no name for a recipe: use lower-case letters, digits and dashes, a letter first")
    if any(each["name"] == name for each in deployments_in(CATALOGUE)):
        raise InputError(f"{name} is a recipe of the project; choose another name")
    if not replace and any(each["name"] == name for each in deployments_in(LOCAL_CATALOGUE)):
        raise InputError(f"{name} has been added before; give --replace to change it, or choose another name")
    if not options.series.path:
        raise InputError("no series is given; name a file with --series.path")
    return Path(options.series.path)


def deployments_of(name: str, parameters: dict[str, Any], path: Path) -> list[dict[str, Any]]:
    """Return the deployments that train, forecast and monitor a series."""
    horizon = {"horizon": parameters["horizon"]} if "horizon" in parameters else {}
    trigger = {
        "name": f"train {name} again",
        "description": "Trains when the champion's forecasts have become worse than the seasonal naive.",
        "expect": ["tidecast.forecast.degraded"],
        "match": {"prefect.resource.id": f"tidecast.series.{name}"},
    }
    return [
        _deployment("train", name, f"Trains on {path.name}.", "gpu", {"recipe": name, **parameters})
        | {"triggers": [trigger]},
        _deployment("forecast", name, f"Forecasts {path.name} with the champion.", "cpu", {"model": name, **horizon}),
        _deployment("monitor", name, f"Scores the past forecasts of {path.name}.", "cpu", {"model": name}),
    ]


def _deployment(flow: str, name: str, description: str, pool: str, parameters: dict[str, Any]) -> dict[str, Any]:
    # One run at a time: the next one waits, or is cancelled where it would only do the same again.
    collision = "CANCEL_NEW" if flow == "monitor" else "ENQUEUE"
    return {
        "name": name,
        "description": description,
        "entrypoint": f"flows/{flow}.py:{flow}",
        "tags": ["own"],
        "work_pool": {"name": pool, "job_variables": JOB},
        "schedules": [{"cron": SCHEDULES[flow], "timezone": "UTC", "active": False}],
        "concurrency_limit": {"limit": 1, "collision_strategy": collision},
        "parameters": parameters,
    }


def write_catalogue(deployments: list[dict[str, Any]]) -> None:
    """Write the user's own catalogue, whole or not at all."""
    from models.files import write_atomically

    project = yaml.safe_load(CATALOGUE.read_text())
    content = {"name": project["name"], "pull": project["pull"], "deployments": deployments}

    class Dumper(yaml.SafeDumper):
        """Writes every value where it is used, without anchors."""

        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
            return True

    text = yaml.dump(content, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)
    write_atomically(LOCAL_CATALOGUE, (HEADING + text).encode())

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

EXAMPLE = "co2"
"""The series of the project whose deployments those of a user's series are like."""
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
    hours = {each["entrypoint"].split(":")[1]: each["schedules"][0]["cron"].split()[1] for each in added}
    times = ", ".join(f"{flow} at {hour}:00" for flow, hour in hours.items())
    say(f"Added {name} to {LOCAL_CATALOGUE}: {times} UTC, every day.")
    now, daily = f"tidecast train {name}", "tidecast up --schedules"
    width = max(len(now), len(daily))
    say(f"  {now:<{width}}  trains it now")
    say(f"  {daily:<{width}}  runs all schedules; start it again if it is running")


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
    flows = {
        "train": (f"Trains on {path.name}.", {"recipe": name, **parameters}),
        "forecast": (f"Forecasts {path.name} with the champion.", {"model": name, **horizon}),
        "monitor": (f"Scores the past forecasts of {path.name}.", {"model": name}),
    }
    deployments = []
    for flow, (description, own_parameters) in flows.items():
        (example,) = (
            each
            for each in deployments_in(CATALOGUE)
            if each["name"] == EXAMPLE and each["entrypoint"].endswith(f":{flow}")
        )
        own = {"name": name, "description": description, "tags": ["own"], "parameters": own_parameters}
        deployments.append(example | own)
    (trigger,) = deployments[0]["triggers"]
    trigger |= {"name": f"train {name} again", "match": {"prefect.resource.id": f"tidecast.series.{name}"}}
    return deployments


def write_catalogue(deployments: list[dict[str, Any]]) -> None:
    """Write the user's own catalogue, whole or not at all."""
    from models.files import write_atomically

    project = yaml.safe_load(CATALOGUE.read_text())
    content = {"name": project["name"], "pull": project["pull"], "deployments": deployments}
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    write_atomically(LOCAL_CATALOGUE, (HEADING + text).encode())

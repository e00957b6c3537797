"""The catalogue: the recipes are the deployments in `prefect.yaml`, and in the user's own `prefect.local.yaml`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from models.errors import InputError
from models.specs import change_source

ROOT = Path(__file__).resolve().parent.parent
CATALOGUE = ROOT / "prefect.yaml"
LOCAL_CATALOGUE = ROOT / "prefect.local.yaml"
"""The deployments of the user's own series, which `tidecast add` writes."""
SHARES_RECIPES_WITH = {"train": "backtest", "backtest": "train"}
"""The flow whose recipes a flow takes besides its own."""
UNSHARED_PARAMETERS = ("free_run", "gate", "test", "stride", "refit", "output")
"""Parameters that only one of these two flows has."""


@dataclass(frozen=True)
class Recipe:
    """A deployment: its name, its description, and the parameters of its flow."""

    name: str
    description: str
    parameters: dict[str, Any]


def deployments_in(path: Path) -> list[dict[str, Any]]:
    """Return the deployments of one file; none if there is no file.

    **Raises:** `InputError` if the user's own file is not what `tidecast add` writes.
    """
    if not path.exists():
        return []
    try:
        deployments = yaml.safe_load(path.read_text())["deployments"]
        for each in deployments:
            _ = each["name"], each["description"], each["parameters"], each["entrypoint"].endswith
    except (yaml.YAMLError, TypeError, KeyError, AttributeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} is no catalogue of deployments ({reason}); mend it, or delete it") from error
    return list(deployments)


def all_deployments() -> list[dict[str, Any]]:
    """Return the deployments of the whole catalogue."""
    return [deployment for path in (CATALOGUE, LOCAL_CATALOGUE) for deployment in deployments_in(path)]


def recipes_of(flow: str) -> dict[str, Recipe]:
    """Return the recipes of one flow by name, in the order of the catalogue."""
    of_flow = [deployment for deployment in all_deployments() if deployment["entrypoint"].endswith(f":{flow}")]
    return {each["name"]: Recipe(each["name"], each["description"], each["parameters"]) for each in of_flow}


def all_recipes() -> dict[str, Recipe]:
    """Return all recipes of `train` and `backtest`; where both have one of the same name, that of `train`."""
    trained = recipes_of("train")
    return trained | {name: recipe for name, recipe in recipes_of("backtest").items() if name not in trained}


def recipe_parameters(flow: str, name: str) -> dict[str, Any]:
    """Return a recipe's parameters; the path of its file works from any folder.

    `train` and `backtest` take each other's recipes, without the parameters that only the other flow has.

    **Raises:** `InputError` for a name that is not in the catalogue.
    """
    of_flow = recipes_of(flow)
    shared = recipes_of(SHARES_RECIPES_WITH[flow]) if flow in SHARES_RECIPES_WITH and name not in of_flow else {}
    choices = of_flow | shared
    if name not in choices:
        raise InputError(
            f"unknown recipe '{name}': choose from {', '.join(choices)}, or give your own series with --series.path"
        )
    left_out = {"recipe"} if name in of_flow else {"recipe", *UNSHARED_PARAMETERS}
    parameters = {field: value for field, value in choices[name].parameters.items() if field not in left_out}
    series = parameters.get("series", {})
    if "path" in series:
        parameters["series"] = {**series, "path": str(ROOT / series["path"])}
    return parameters


def change(parameters: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe's parameters with the user's changes; what a change does not name stays."""
    merged = dict(parameters)
    for name, value in changes.items():
        if name == "series":
            merged[name] = change_source(merged.get(name, {}), value)
        else:
            merged[name] = merged.get(name, {}) | value if isinstance(value, dict) else value
    return merged

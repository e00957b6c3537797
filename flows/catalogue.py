"""The catalogue: the recipes are the deployments of `prefect.yaml`, read from where they stand."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from models.errors import InputError
from models.specs import change_source

ROOT = Path(__file__).resolve().parent.parent
CATALOGUE = ROOT / "prefect.yaml"
TWINS = {"train": "backtest", "backtest": "train"}
"""Flows that share their recipes."""
OF_ONE_ALONE = ("free_run", "gate", "horizon", "test", "stride", "refit", "output")
"""What only one of them knows."""


@dataclass(frozen=True)
class Recipe:
    """A deployment: its name, what it is for, and the parameters of its flow."""

    name: str
    description: str
    parameters: dict[str, Any]


def recipes(flow: str) -> dict[str, Recipe]:
    """The recipes of one flow, by name, in the catalogue's order."""
    deployments = yaml.safe_load(CATALOGUE.read_text())["deployments"]
    own = [d for d in deployments if d["entrypoint"].endswith(f":{flow}")]
    return {d["name"]: Recipe(d["name"], d["description"], d["parameters"]) for d in own}


def all_recipes() -> dict[str, Recipe]:
    """What can be trained and backtested; of two recipes of one name, that of the training."""
    trained = recipes("train")
    return trained | {name: recipe for name, recipe in recipes("backtest").items() if name not in trained}


def recipe_parameters(flow: str, name: str) -> dict[str, Any]:
    """A recipe's parameters, its file found wherever the command is run.

    What can be trained can be backtested, and the reverse: what the other flow has no use for is left out.

    **Raises:** `InputError` for a name that is not in the catalogue.
    """
    known = recipes(flow)
    if flow in TWINS and name not in known:
        known |= recipes(TWINS[flow])
    if name not in known:
        raise InputError(
            f"unknown recipe '{name}': choose from {', '.join(known)}, or give your own series with --series.path"
        )
    left_out = {"recipe"} if name in recipes(flow) else {"recipe", *OF_ONE_ALONE}
    parameters = {field: value for field, value in known[name].parameters.items() if field not in left_out}
    series = parameters.get("series", {})
    if "path" in series:
        parameters["series"] = {**series, "path": str(ROOT / series["path"])}
    return parameters


def change(parameters: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A recipe's parameters with what the user changed."""
    merged = dict(parameters)
    for name, value in changes.items():
        if name == "series":
            merged[name] = change_source(merged.get(name, {}), value)
        else:
            merged[name] = merged.get(name, {}) | value if isinstance(value, dict) else value
    return merged

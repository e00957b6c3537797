"""A flow's parameters as command-line options: read off its signature, so that none is written twice."""

import inspect
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from models.errors import InputError


def options_of(function: Callable[..., Any]) -> type[BaseModel]:
    """A model with a field a parameter of the function; what is not given stays unset.

    `recipe` is left out: on the command line it stands first, without a flag.
    """
    parameters = inspect.signature(function).parameters.values()
    fields: dict[str, Any] = {p.name: (p.annotation, p.default) for p in parameters if p.name != "recipe"}
    name = f"{function.__name__.title()}Options"
    return create_model(name, __config__=ConfigDict(extra="forbid", frozen=True), **fields)


def first_mistake(error: ValidationError) -> str:
    """The first thing that is wrong, as one line that names the option, the value and what is wanted."""
    mistake = error.errors()[0]
    where = "--" + ".".join(str(part).replace("_", "-") for part in mistake["loc"] if not isinstance(part, int))
    if mistake["type"] == "extra_forbidden":
        return f"unknown option {where}; see --help"
    wanted = mistake["msg"].removeprefix("Value error, ").replace("Input should", "it should")
    if isinstance(mistake.get("ctx", {}).get("error"), InputError):
        return wanted
    return f"{where} cannot be {mistake['input']!r}: {wanted}"

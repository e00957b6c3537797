"""A flow's parameters, read from its signature: as command-line options, and as the fields of Prefect's form."""

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import BaseModel, create_model

from models.specs import Spec

Function = TypeVar("Function", bound=Callable[..., Any])


@lru_cache
def options_of(function: Callable[..., Any]) -> type[BaseModel]:
    """Return a Pydantic model with a field for each parameter of the function; fields that are not given stay unset.

    `recipe` is left out: on the command line it is the first argument, without a flag.
    """
    fields = _fields(function)
    fields.pop("recipe", None)
    return create_model(f"{function.__name__.title()}Options", __base__=Spec, **fields)


def document_parameters(function: Function) -> Function:
    """Add the descriptions of a function's parameters to its docstring, from which Prefect's form takes them."""
    fields = create_model(function.__name__, __base__=Spec, **_fields(function)).model_fields
    descriptions = [f"    {name}: {field.description}" for name, field in fields.items() if field.description]
    function.__doc__ = "\n".join([inspect.cleandoc(function.__doc__ or ""), "", "Args:", *descriptions])
    return function


def _fields(function: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters.values()
    return {parameter.name: (parameter.annotation, parameter.default) for parameter in parameters}

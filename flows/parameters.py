"""A flow's parameters, read off its signature: as command-line options, and as the fields of Prefect's form."""

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import BaseModel, create_model

from models.specs import Spec

Function = TypeVar("Function", bound=Callable[..., Any])


@lru_cache
def options_of(function: Callable[..., Any]) -> type[BaseModel]:
    """A model with a field a parameter of the function; what is not given stays unset.

    `recipe` is left out: on the command line it stands first, without a flag.
    """
    fields = _fields(function)
    fields.pop("recipe", None)
    return create_model(f"{function.__name__.title()}Options", __base__=Spec, **fields)


def document_parameters(function: Function) -> Function:
    """The function with its parameters' descriptions in its docstring, which is where Prefect's form looks for them."""
    fields = create_model(function.__name__, __base__=Spec, **_fields(function)).model_fields
    told = [f"    {name}: {field.description}" for name, field in fields.items() if field.description]
    function.__doc__ = "\n".join([inspect.cleandoc(function.__doc__ or ""), "", "Args:", *told])
    return function


def _fields(function: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters.values()
    return {parameter.name: (parameter.annotation, parameter.default) for parameter in parameters}

"""The base of all specs: frozen, validated, and described with their bounds."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from models.display import printable
from models.specs.bounds import add_bounds

LONGEST_NAME = 120
"""Most characters of a name that a user gives to a series or a recipe."""


class Spec(BaseModel):
    """A frozen part of a recipe; it refuses unknown fields, and the descriptions of its fields state their bounds."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        super().__pydantic_init_subclass__(**options)
        add_bounds(cls.model_fields)
        cls.model_rebuild(force=True)  # so that the schema has the bounds too


def split_commas(names: object) -> object:
    """Split names at commas, as in `rnn,gru` on a command line."""
    if isinstance(names, str):
        names = [names]
    if isinstance(names, list | tuple):
        return [part.strip() for name in names for part in str(name).split(",") if part.strip()]
    return names


Names = Annotated[tuple[str, ...], BeforeValidator(split_commas)]
"""Several names, separated by commas."""


def _clean_name(text: str) -> str:
    name = printable(text, LONGEST_NAME)
    if not name:
        raise ValueError("it should not be blank")
    return name


Name = Annotated[str, AfterValidator(_clean_name)]
"""A name, made printable as soon as it is given: one line of bounded length."""

"""What every spec is: frozen, checked, and told with its bounds."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from models.display import printable
from models.specs.bounds import add_bounds

LONGEST_NAME = 120
"""Characters of a name that a user gives: of a series, of a recipe."""


class Spec(BaseModel):
    """A frozen part of a recipe; unknown fields are refused, and the descriptions tell the bounds."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def __pydantic_init_subclass__(cls, **given: Any) -> None:
        super().__pydantic_init_subclass__(**given)
        add_bounds(cls.model_fields)
        cls.model_rebuild(force=True)  # so that the schema has them too


def split_commas(names: object) -> object:
    """`rnn,gru`, as typed on a command line, is two names."""
    if isinstance(names, str):
        names = [names]
    if isinstance(names, list | tuple):
        return [part.strip() for name in names for part in str(name).split(",") if part.strip()]
    return names


Names = Annotated[tuple[str, ...], BeforeValidator(split_commas)]
"""Several names, separated by commas."""


def _name(text: str) -> str:
    name = printable(text, LONGEST_NAME)
    if not name:
        raise ValueError("it should not be blank")
    return name


Name = Annotated[str, AfterValidator(_name)]
"""A name as it is shown, from the door on: in one line of bounded length, without what cannot be printed."""

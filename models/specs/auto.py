"""Settings that may be left to the rules: variants of the specs in which some fields may be `auto`, their default.

`models/rules.py` replaces each `auto` by a value that is found from the series, and returns plain specs.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union

from pydantic import model_validator

from models.specs.base import Spec
from models.specs.data import SplitSpec, WindowSpec
from models.specs.networks import FitSpec, RecurrentSpec

AUTO = "auto"
"""The value of a setting that is left to the rules."""
AnySpec = TypeVar("AnySpec", bound=Spec)


def may_be_auto(*names: str) -> Callable[[type[AnySpec]], type[AnySpec]]:
    """Let the fields of these names be "auto", and be so by default; the bounds are those of their other values."""

    def decorate(spec: type[AnySpec]) -> type[AnySpec]:
        for name in names:
            field = spec.model_fields[name]
            values: Any = field.annotation
            for bound in field.metadata:
                values = Annotated[values, bound]
            either: Any = Union[values, Literal["auto"]]  # noqa: UP007
            field.annotation, field.metadata, field.default = either, [], AUTO
        spec.model_rebuild(force=True)
        return spec

    return decorate


class Auto(Spec):
    """A variant of a spec with settings that may be `auto`; made from a plain spec, it leaves nothing to the rules."""

    def leaves(self, name: str) -> bool:
        """Tell whether a setting is left to the rules."""
        return bool(getattr(self, name) == AUTO)

    @model_validator(mode="before")
    @classmethod
    def _from_plain_spec(cls, data: Any) -> Any:
        return data.model_dump() if isinstance(data, Spec) and not isinstance(data, cls) else data


@may_be_auto("length", "horizon", "transform", "calendar", "short")
class AutoWindow(Auto, WindowSpec):
    """The settings of windows as a user gives them."""


@may_be_auto("validation", "test")
class AutoSplit(Auto, SplitSpec):
    """The sizes of the parts as a user gives them."""


@may_be_auto("target_offset", "segment", "highway")
class AutoRecurrent(Auto, RecurrentSpec):
    """The settings of a network as a user gives them."""


@may_be_auto("epochs", "batch", "windows", "loss", "members", "final_steps")
class AutoFit(Auto, FitSpec):
    """The settings of a training as a user gives them."""


class Settings(NamedTuple):
    """The settings that the rules decide on; options are named as in `window.length`."""

    models: tuple[str, ...]
    window: AutoWindow
    recurrent: AutoRecurrent
    fit: AutoFit

    def leaves(self, option: str) -> bool:
        """Tell whether a setting is left to the rules."""
        group, name = option.split(".")
        return bool(getattr(self, group).leaves(name))

    def replaced(self, option: str, value: Any) -> "Settings":
        """Return the settings with another value of one of them."""
        group, name = option.split(".")
        changed: dict[str, Any] = {group: getattr(self, group).model_copy(update={name: value})}
        return self._replace(**changed)

    def plain(self) -> tuple[WindowSpec, RecurrentSpec, FitSpec]:
        """Return the specs, of which nothing is `auto` any more."""
        window, recurrent, fit = (spec.model_dump() for spec in self[1:])
        return WindowSpec(**window), RecurrentSpec(**recurrent), FitSpec(**fit)


class Setting(NamedTuple):
    """What a rule has chosen: an option such as `window.length`, its value, and the reason in words."""

    option: str
    value: Any
    reason: str

    @property
    def text(self) -> str:
        """The value as on the command line."""
        if self.value is None:
            return "all"
        return ",".join(self.value) or "none" if isinstance(self.value, tuple) else str(self.value)

    def __str__(self) -> str:
        """Return the choice as a line."""
        return f"--{self.option.replace('_', '-')} {self.text} ({self.reason})"

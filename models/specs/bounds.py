"""The bounds of a setting in words, for its description."""

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo


def describe_bounds(field: FieldInfo) -> str:
    """Return the bounds as in "at least 1, at most 4,096" or "above 0"; empty if there is none."""
    phrases = []
    for bound in field.metadata:
        match bound:
            case Gt():
                phrases.append(f"above {_format_number(bound.gt)}")
            case Ge():
                phrases.append(f"at least {_format_number(bound.ge)}")
            case Lt():
                phrases.append(f"below {_format_number(bound.lt)}")
            case Le():
                phrases.append(f"at most {_format_number(bound.le)}")
    return ", ".join(phrases)


def add_bounds(fields: dict[str, FieldInfo]) -> None:
    """Add its bounds to the description of each field that has any; a field of a parent class has them already."""
    for field in fields.values():
        bounds = describe_bounds(field)
        if bounds and not str(field.description).endswith(f" [{bounds}]"):
            field.description = f"{field.description} [{bounds}]"


def _format_number(bound: object) -> str:
    return f"{bound:,}" if isinstance(bound, int) else str(bound)

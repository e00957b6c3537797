"""The bounds of a setting, said in words beside its description."""

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo


def describe_bounds(field: FieldInfo) -> str:
    """As in "at least 1, at most 4,096" or "above 0"; nothing where there is no bound."""
    told = []
    for bound in field.metadata:
        match bound:
            case Gt():
                told.append(f"above {_number(bound.gt)}")
            case Ge():
                told.append(f"at least {_number(bound.ge)}")
            case Lt():
                told.append(f"below {_number(bound.lt)}")
            case Le():
                told.append(f"at most {_number(bound.le)}")
    return ", ".join(told)


def add_bounds(fields: dict[str, FieldInfo]) -> None:
    """Add its bounds to the description of each field that has any."""
    for field in fields.values():
        if told := describe_bounds(field):
            field.description = f"{field.description} [{told}]"


def _number(bound: object) -> str:
    return f"{bound:,}" if isinstance(bound, int) else str(bound)

"""A user's mistake as one line."""

from pydantic import ValidationError

from models.errors import InputError


def first_mistake(error: ValidationError) -> str:
    """The first thing that is wrong: the option, the value, and what is wanted."""
    mistake = error.errors()[0]
    where = "--" + ".".join(str(part).replace("_", "-") for part in mistake["loc"] if not isinstance(part, int))
    if mistake["type"] == "extra_forbidden":
        return f"unknown option {where}; see --help"
    wanted = mistake["msg"].removeprefix("Value error, ").replace("Input should", "it should")
    if isinstance(mistake.get("ctx", {}).get("error"), InputError):
        return wanted
    return f"{where} cannot be {mistake['input']!r}: {wanted}"

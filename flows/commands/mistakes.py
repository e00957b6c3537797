"""A user's mistake in one line."""

from pydantic import ValidationError

from models.errors import InputError


def first_mistake(error: ValidationError) -> str:
    """Return the first mistake in one line: the option, its value, and what it should be."""
    mistake = error.errors()[0]
    option = "--" + ".".join(str(part).replace("_", "-") for part in mistake["loc"] if not isinstance(part, int))
    if mistake["type"] == "extra_forbidden":
        return f"unknown option {option}; see --help"
    expected = mistake["msg"].removeprefix("Value error, ").replace("Input should", "it should")
    if isinstance(mistake.get("ctx", {}).get("error"), InputError):
        return expected
    return f"{option} cannot be {mistake['input']!r}: {expected}"

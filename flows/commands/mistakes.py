"""A user's mistake in one line."""

from pydantic import ValidationError

from models.errors import InputError


def first_mistake(error: ValidationError) -> str:
    """Return the first mistake in one line: the option, its value, and what it should be."""
    mistake, *others = error.errors()
    # Pydantic adds which kind of value it has tried, where a field takes several, such as "auto".
    names = [part for part in mistake["loc"] if isinstance(part, str) and part.isidentifier()]
    option = "--" + ".".join(name.replace("_", "-") for name in names)
    if mistake["type"] == "extra_forbidden":
        return f"unknown option {option}; see --help"
    expected = mistake["msg"].removeprefix("Value error, ").replace("Input should", "it should")
    if isinstance(mistake.get("ctx", {}).get("error"), InputError):
        return expected
    if any(other["loc"][: len(names)] == tuple(names) and "'auto'" in other["msg"] for other in others):
        expected += ", or auto"
    return f"{option} cannot be {mistake['input']!r}: {expected}"

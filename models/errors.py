"""The user's mistakes, told apart from ours."""

from models.display import printable

LONGEST = 900
"""Characters of a line that tells a mistake."""


class InputError(ValueError):
    """A mistake in what the user gave: one line that names the value and the way out, whatever stands in the value."""

    def __init__(self, line: str):
        super().__init__(printable(line, LONGEST))

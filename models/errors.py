"""Mistakes of a user, as opposed to errors of the program."""

from models.display import printable

LONGEST_MESSAGE = 900
"""Most characters of a message."""


class InputError(ValueError):
    """A mistake in what the user gave; its message is one printable line that names the value and the way out."""

    def __init__(self, message: str):
        super().__init__(printable(message, LONGEST_MESSAGE))

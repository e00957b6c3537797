"""The user's mistakes, told apart from ours."""


class InputError(ValueError):
    """A mistake in what the user gave: one line that names the value and the way out."""

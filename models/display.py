"""What a person is shown of a text that came from outside: a name, a cell, a message; and of a number."""

import math


def printable(value: object, width: int = 60) -> str:
    """A value on one line of at most `width` characters that can be printed; what is longer loses its middle.

    No line break, NUL, terminal escape or mark that turns the direction of writing is left: spaces stand for blanks of
    every kind, and the replacement character for the others.
    """
    text = " ".join(str(value).split())
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
    if len(text) <= width:
        return text
    tail = width // 3
    return f"{text[: width - tail - 3]}...{text[-tail:]}"


def format_number(number: float) -> str:
    """Format with three significant digits: 0.500, 12,300, 1.23e-12; NaN and infinity are a dash."""
    if not math.isfinite(number):
        return "–"
    rounded = float(f"{number:.3g}")
    return f"{rounded:,.0f}" if 1000 <= abs(rounded) < 1e6 or rounded == 0 else f"{number:#.3g}".rstrip(".")

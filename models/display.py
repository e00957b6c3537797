"""How numbers are shown, and text from outside, such as a name, a cell or a message."""

import math
from collections.abc import Sequence


def printable(value: object, width: int = 60) -> str:
    """Return a value as one printable line of at most `width` characters; a longer one loses its middle.

    It holds no line break, NUL, terminal escape or mark that changes the direction of writing: runs of white space
    become one space, and other unprintable characters become the replacement character.
    """
    text = " ".join(str(value).split())
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
    if len(text) <= width:
        return text
    tail = width // 3
    return f"{text[: width - tail - 3]}...{text[-tail:]}"


def enumerated(items: Sequence[str]) -> str:
    """Join items as in a sentence: "a", "a and b", "a, b and c"."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def format_number(number: float) -> str:
    """Format with three significant digits: 0.500, 12,300, 1.23e-12; NaN and infinity are a dash."""
    if not math.isfinite(number):
        return "–"
    rounded = float(f"{number:.3g}")
    return f"{rounded:,.0f}" if 1000 <= abs(rounded) < 1e6 or rounded == 0 else f"{number:#.3g}".rstrip(".")

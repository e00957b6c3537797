"""What a person is shown of a text that came from outside: a name, a cell, a message."""


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

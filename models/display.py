"""Showing a text that came from outside, such as a name, a cell or a message."""


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

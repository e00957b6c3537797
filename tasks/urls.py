"""URLs as they may be shown: without whatever lets one in."""

from urllib.parse import urlsplit


def without_password(url: str) -> str:
    """The URL without the user and the password before its host."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if "@" in parts.netloc else url

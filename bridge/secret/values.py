"""What may be a secret's value: trimmed, and fit for where it is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

LIMIT: Final = 64 * 1024  # bytes of a file that holds a secret; tokens of clouds are the longest


def header_value(text: str) -> str:
    """A token as a header carries it, without what stands around it.

    Raises ValueError with a sentence part that never repeats it (RFC 9110, section 5.5).
    """
    value = text.strip()
    if not value:
        raise ValueError("it holds nothing")
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise ValueError(
            "it holds characters that no token has (spaces, line breaks or letters beyond ASCII)"
        )
    return value


def shared_secret(text: str) -> str:
    """A secret that people make up, as a header carries it: it may hold spaces."""
    value = text.strip()
    if not value:
        raise ValueError("it holds nothing")
    if not (value.isascii() and value.isprintable()):
        raise ValueError("it holds line breaks or letters beyond ASCII, which no header carries")
    return value


def web_address(text: str) -> str:
    """A secret address, such as an incoming webhook's."""
    value = header_value(text)
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("it is no address; expected https://host/path")
    return value


def read_secret(path: Path) -> str:
    """What a file holds. Raises ValueError with a sentence part when it cannot be had."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(LIMIT + 1)
        if len(raw) > LIMIT:
            raise ValueError(f"it is longer than {LIMIT} bytes")
        return raw.decode("utf-8")
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror or type(error).__name__}") from None
    except UnicodeDecodeError:
        raise ValueError("it holds what is no text") from None

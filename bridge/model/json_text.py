"""JSON that comes back as it was written: whole numbers of any size, and lone surrogates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import orjson

# To orjson, a whole number beyond 64 bits is a float: 19 digits in a row are looked at closely.
_NINES: Final = bytes.maketrans(b"012345678", b"9" * 9)
_LONG_NUMBER: Final = b"9" * 19

# What Python's own encoder refuses or writes otherwise is left to it.
_LEFT: Final = (
    orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)


def tree_of(text: str | bytes) -> Any:
    """The tree of a JSON text. Raises `ValueError` or `RecursionError` for what is none."""
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    if _LONG_NUMBER in raw.translate(_NINES):
        return json.loads(text)
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:  # a lone surrogate, or no JSON
        return json.loads(text)


def ascii_json(tree: Any) -> str:
    """A tree as JSON of ASCII alone, without spaces.

    Raises `TypeError` or `ValueError` for what JSON cannot hold.
    """
    try:
        raw = orjson.dumps(tree, option=_LEFT)
    except TypeError:  # a number of more than 64 bits, a lone surrogate, or what is no JSON
        return _slowly(tree)
    return raw.decode("ascii") if raw.isascii() else _slowly(tree)


def _plain(value: object) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} cannot be stored as JSON")


_slowly: Final = json.JSONEncoder(separators=(",", ":"), default=_plain).encode

"""JSON that comes back as it was written: whole numbers of any size, and lone surrogates."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import orjson

# To orjson, a whole number beyond 64 bits is a float.
_LONG_NUMBER: Final = re.compile(r"\d{19}")


def tree_of(text: str) -> Any:
    """The tree of a JSON text. Raises `ValueError` or `RecursionError` for what is none."""
    if _LONG_NUMBER.search(text):
        return json.loads(text)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:  # a lone surrogate, or no JSON
        return json.loads(text)

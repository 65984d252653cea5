"""What a fact's value may be: of its type, and of a size that a stranger cannot make a burden."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from bridge.model.entities import Json
from bridge.model.facts import FactType

TEXT_LIMIT: Final = 10_000  # characters
SET_LIMIT: Final = 1_000  # items
OBJECT_LIMIT: Final = 20_000  # characters of JSON


def fault(kind: FactType, value: Json) -> str:
    """Why a value is none of that type, as a sentence part; "" when it is one."""
    return _FAULTS[kind](value)


def _integer(value: Json) -> str:
    if type(value) is not int:
        return "expected a whole number"
    return "" if abs(value) < 2**63 else "too large"


def _float(value: Json) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "expected a number"
    return "" if math.isfinite(value) else "expected a finite number"


def _string(value: Json) -> str:
    if not isinstance(value, str):
        return "expected a text"
    return "" if len(value) <= TEXT_LIMIT else f"longer than {TEXT_LIMIT} characters"


def _boolean(value: Json) -> str:
    return "" if isinstance(value, bool) else "expected true or false"


def _datetime(value: Json) -> str:
    try:
        aware = datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        aware = False
    return "" if aware else "expected a date-time such as 2026-05-04T12:00:00Z"


def _set(value: Json) -> str:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return "expected a list of texts"
    if len(value) > SET_LIMIT or any(len(item) > TEXT_LIMIT for item in value):
        return f"more than {SET_LIMIT} texts, or one longer than {TEXT_LIMIT} characters"
    return "" if len(set(value)) == len(value) else "a text is there twice"


def _object(value: Json) -> str:
    if not isinstance(value, Mapping):
        return "expected an object"
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return "expected an object that JSON can hold"
    return "" if len(text) <= OBJECT_LIMIT else f"longer than {OBJECT_LIMIT} characters of JSON"


_FAULTS: Final[Mapping[FactType, Callable[[Json], str]]] = {
    FactType.INTEGER: _integer,
    FactType.FLOAT: _float,
    FactType.STRING: _string,
    FactType.BOOLEAN: _boolean,
    FactType.DATETIME: _datetime,
    FactType.SET: _set,
    FactType.OBJECT: _object,
}

"""JSON texts, fast; and numbers as JavaScript writes them."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

import orjson

from bridge.model.entities import Json


def dumped(tree: Json) -> bytes:
    """The tree as compact JSON in UTF-8."""
    try:
        return orjson.dumps(tree)
    except TypeError:
        # A lone surrogate, or a number of more than 64 bits: rare, and the slow way has a form.
        return json.dumps(tree, separators=(",", ":")).encode()


def loaded(text: bytes) -> Any:
    """The tree of what `dumped` gave."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)


def js_text(value: Json) -> str:
    """A string, number or boolean as `String(value)` gives it in JavaScript."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) <= 2**53:
        return str(value)
    return _js_number(value)


def _js_number(value: float) -> str:
    try:
        number = float(value)
    except OverflowError:
        return "Infinity" if value > 0 else "-Infinity"
    if not math.isfinite(number):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[repr(number)]
    if number == 0:
        return "0"
    if 1e-6 <= abs(number) < 1e21:
        text = f"{Decimal(repr(number)):f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    digits, _, exponent = repr(number).partition("e")
    power = int(exponent)
    return f"{digits.removesuffix('.0')}e{'+' if power > 0 else '-'}{abs(power)}"

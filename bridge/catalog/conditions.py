"""What stands beside a key in a predicate: a plain value, or an operator with its operand."""

from __future__ import annotations

from bridge.model.entities import Json


def is_primitive(value: Json) -> bool:
    """Whether a value can be compared as it is."""
    return isinstance(value, str | int | float)  # bool is an int


def operator_of(value: Json) -> str:
    """The operator of a condition, "" if it has none.

    Of several the first counts whose operand is of its kind, as with Backstage's schema.
    """
    if not isinstance(value, dict):
        return ""
    if isinstance(value.get("$exists"), bool):
        return "$exists"
    among = value.get("$in")
    if isinstance(among, list) and all(is_primitive(each) for each in among):
        return "$in"
    if "$contains" in value:
        return "$contains"
    return "$hasPrefix" if isinstance(value.get("$hasPrefix"), str) else ""

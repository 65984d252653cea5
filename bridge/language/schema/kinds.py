"""Which kinds of value a JSON Schema leaves for a path: all that it may hold, perhaps more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from bridge.language.patterns import compiled
from bridge.language.schema.shape import target
from bridge.model.entities import Json

Kinds: TypeAlias = dict[str, None] | None  # in the schema's order; None for any kind

_HOLDS: Final = {True: "array", False: "object"}  # what has the items, and what has the keys
_NUMBERS: Final = frozenset(("number", "integer"))  # a whole number is both


def kinds_at(schema: Json, root: Mapping[str, Json], path: tuple[str, ...]) -> tuple[str, ...]:
    """The JSON types that a valid document may have at a path; `"*"` stands for a list's items.

    Empty where the schema does not say: any may stand there, or none. `root` is what `$ref` means.
    """
    return tuple(_Allowed(root).at(schema, path) or ())


class _Allowed:
    def __init__(self, root: Mapping[str, Json]) -> None:
        self._root = root
        self._known: dict[tuple[int, int], Kinds] = {}

    def at(self, schema: Any, path: tuple[str, ...]) -> Kinds:
        if not isinstance(schema, dict):
            return None
        key = id(schema), len(path)
        if key not in self._known:
            self._known[key] = None  # of a schema that refers to itself on the way
            self._known[key] = _both(self._rules(schema, path))
        return self._known[key]

    def _rules(self, schema: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[Kinds]:
        """What each rule of a schema allows: all of them hold."""
        kinds = _own(schema)
        if not path:
            yield kinds
        elif kinds is not None and _HOLDS[path[0] == "*"] not in kinds:
            yield {}
        else:
            yield self.at(_below(schema, path[0]), path[1:])
        if isinstance(schema.get("$ref"), str):
            yield self.at(target(schema["$ref"], self._root), path)
        for branch in schema.get("allOf", ()):
            yield self.at(branch, path)
        for word in ("anyOf", "oneOf"):
            if word in schema:
                yield _either([self.at(branch, path) for branch in schema[word]])


def _own(schema: Mapping[str, Any]) -> Kinds:
    kinds = schema.get("type")
    if kinds is None:
        return None
    return dict.fromkeys([kinds] if isinstance(kinds, str) else kinds)


def _below(schema: Mapping[str, Any], step: str) -> Any:
    """The schema of one key's value, or of the items by `"*"`; None when there is not one."""
    if step == "*":
        return None if "prefixItems" in schema else schema.get("items")
    if step in schema.get("properties", {}):
        return schema["properties"][step]
    for pattern, below in schema.get("patternProperties", {}).items():
        if compiled(pattern).search(step):
            return below
    return schema.get("additionalProperties")


def _both(rules: Iterable[Kinds]) -> Kinds:
    left: Kinds = None
    for kinds in rules:
        if left is None:
            left = kinds
        elif kinds is not None:
            numbers = _NUMBERS if _NUMBERS & kinds.keys() else frozenset()
            left = {kind: None for kind in left if kind in kinds or kind in numbers}
    return left


def _either(branches: list[Kinds]) -> Kinds:
    found: dict[str, None] = {}
    for kinds in branches:
        if kinds is None:
            return None
        found.update(kinds)
    return found

"""Which keys a JSON Schema knows, its references and branches laid together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.language.patterns import BadPattern, Pattern, compiled
from bridge.language.text_faults import shown
from bridge.language.text_positions import Path
from bridge.model.entities import Json

TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "nothing",
}

_DATA = frozenset(("enum", "const", "examples", "default"))  # keywords whose values are no schemas
_NOTES = frozenset(("title", "description", "examples", "default", "deprecated"))


def target(ref: str, root: Mapping[str, Json]) -> Any:
    """What a reference like `#/$defs/x` names; raises LookupError when there is no such thing."""
    if not ref.startswith("#"):
        raise LookupError(ref)
    node: Any = root
    for part in ref[1:].split("/")[1:]:
        step = part.replace("~1", "/").replace("~0", "~")
        node = node[int(step)] if isinstance(node, list) and step.isdigit() else node[step]
    if ref not in ("#", "") and not ref.startswith("#/"):
        raise LookupError(ref)
    return node


def bad_refs(node: Any, root: Mapping[str, Json]) -> Iterator[str]:
    """A sentence for every `$ref` that leads out of the file or nowhere."""
    if isinstance(node, list):
        for item in node:
            yield from bad_refs(item, root)
    if not isinstance(node, dict):
        return
    ref = node.get("$ref")
    if isinstance(ref, str):
        try:
            target(ref, root)
        except (LookupError, TypeError):
            yield f"$ref {shown(ref)} names nothing in this file: use `#/$defs/…`"
    for keyword, value in node.items():
        if keyword not in _DATA:
            yield from bad_refs(value, root)


def bad_patterns(node: Any, path: Path = ()) -> Iterator[tuple[Path, str, bool]]:
    """(path, message, whether it is a key) of every regular expression that cannot be used."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from bad_patterns(item, (*path, index))
    if not isinstance(node, dict):
        return
    if isinstance(node.get("pattern"), str):
        fault = _pattern_fault(node["pattern"])
        if fault:
            yield (*path, "pattern"), fault, False
    keyed = node.get("patternProperties")
    for pattern in keyed if isinstance(keyed, dict) else ():
        fault = _pattern_fault(pattern)
        if fault:
            yield (*path, "patternProperties", pattern), fault, True
    for keyword, value in node.items():
        if keyword not in _DATA:
            yield from bad_patterns(value, (*path, keyword))


def _pattern_fault(pattern: str) -> str:
    try:
        compiled(pattern)
    except BadPattern as error:
        return f"the pattern {shown(pattern)} {error}"
    return ""


class Inliner:
    """Puts what `$ref` names in its place, which halves the time of a check; cycles stay."""

    def __init__(self, root: Mapping[str, Json]) -> None:
        self._root = root
        self._done: dict[str, Any] = {}
        self._open: set[str] = set()

    def inline(self, node: Any) -> Any:
        """The same schema with fewer references in it."""
        if isinstance(node, list):
            return [self.inline(item) for item in node]
        if not isinstance(node, dict):
            return node
        ref = node.get("$ref")
        if isinstance(ref, str) and self._plain(node):
            found = self._resolved(ref)
            if isinstance(found, dict) and "$ref" not in found:
                return {**found, **{key: node[key] for key in node if key != "$ref"}}
        return {key: value if key in _DATA else self.inline(value) for key, value in node.items()}

    @staticmethod
    def _plain(node: Mapping[str, Json]) -> bool:
        """Whether only notes stand beside the reference: rules beside it must stay apart."""
        return all(key == "$ref" or key in _NOTES or key.startswith("x-") for key in node)

    def _resolved(self, ref: str) -> Any:
        if ref in self._open:
            return None
        if ref not in self._done:
            self._open.add(ref)
            self._done[ref] = self.inline(target(ref, self._root))
            self._open.discard(ref)
        return self._done[ref]


@dataclass(slots=True)
class Shape:
    """Which keys and items a value may have, all branches of its schema laid together."""

    kinds: dict[str, None] = field(default_factory=dict)
    properties: dict[str, Shape] = field(default_factory=dict)
    patterns: list[tuple[Pattern, Shape]] = field(default_factory=list)
    items: Shape | None = None
    extra: Shape | None = None
    free: bool = False  # says itself that any key may stand here

    @property
    def open(self) -> bool:
        """Whether any key may stand here."""
        named = self.properties or self.patterns or self.extra
        takes_keys = not self.kinds or "object" in self.kinds or "array" in self.kinds
        closed_list = self.items is not None and "object" not in self.kinds
        return self.free or bool(not named and takes_keys and not closed_list)

    def below(self, key: str) -> Shape | None:
        """The shape of one key's value; None when it is not named."""
        found = self.properties.get(key)
        if found is not None:
            return found
        for pattern, shape in self.patterns:
            if pattern.search(key):
                return shape
        return self.extra

    def take(self, other: Shape) -> None:
        """Lay another shape over this one: what either knows is known."""
        self.kinds.update(other.kinds)
        self.patterns.extend(other.patterns)
        self.free = self.free or other.free
        self.items = _both(self.items, other.items)
        self.extra = _both(self.extra, other.extra)
        for name, shape in other.properties.items():
            self.properties[name] = _both(self.properties.get(name), shape) or shape


def _both(one: Shape | None, other: Shape | None) -> Shape | None:
    if one is None or other is None or one is other:
        return one or other
    both = Shape()
    both.take(one)
    both.take(other)
    return both


def shape_of(schema: Any, root: Mapping[str, Json], seen: dict[int, Shape]) -> Shape:
    """Compile a schema; `seen` makes recursive schemas into shapes that name themselves."""
    if not isinstance(schema, dict):
        return Shape()
    if id(schema) in seen:
        return seen[id(schema)]
    shape = seen[id(schema)] = Shape()
    if isinstance(schema.get("$ref"), str):
        shape.take(shape_of(target(schema["$ref"], root), root, seen))
    kinds = schema.get("type", ())
    shape.kinds.update(dict.fromkeys([kinds] if isinstance(kinds, str) else kinds))
    for name, below in schema.get("properties", {}).items():
        shape.properties[name] = shape_of(below, root, seen)
    for pattern, below in schema.get("patternProperties", {}).items():
        shape.patterns.append((compiled(pattern), shape_of(below, root, seen)))
    extra = schema.get("additionalProperties")
    shape.free = shape.free or extra is True
    if isinstance(extra, dict):
        shape.extra = _both(shape.extra, shape_of(extra, root, seen))
    if isinstance(schema.get("items"), dict) and "prefixItems" not in schema:
        shape.items = _both(shape.items, shape_of(schema["items"], root, seen))
    for branch in schema.get("allOf", ()):
        shape.take(shape_of(branch, root, seen))
    for branch in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *_conditional(schema)):
        taken = shape_of(branch, root, seen)
        shape.take(taken)
        # A branch that says "any object" opens the whole, whatever the other branches name.
        shape.free = shape.free or ("object" in taken.kinds and taken.open)
    return shape


def _conditional(schema: Mapping[str, Any]) -> list[Any]:
    conditional = [schema[word] for word in ("then", "else") if word in schema]
    return [*conditional, *schema.get("dependentSchemas", {}).values()]


def unknown_keys(data: Json, shape: Shape, path: Path) -> Iterator[tuple[Path, Shape]]:
    """The keys that no schema names, where a schema names keys; depth is bounded by the reader."""
    if isinstance(data, list):
        if shape.items is not None:
            for index, item in enumerate(data):
                if isinstance(item, dict | list):
                    yield from unknown_keys(item, shape.items, (*path, index))
        return
    if not isinstance(data, dict):
        return
    for key, value in data.items():
        below = shape.properties.get(key) or shape.below(key)
        if below is None:
            if not shape.open:
                yield (*path, key), shape
        elif isinstance(value, dict | list):
            yield from unknown_keys(value, below, (*path, key))

"""What can be searched of an entity: (key, value) rows by the rules of Backstage's search table.

Keys are paths in lower case and go through arrays; a text in an array also gives the row
`path.text = true`. Nulls and values that are too long are there, but have no value.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

from bridge.catalog.jsontext import js_text
from bridge.model.entities import Body, Json

LONGEST_KEY: Final = 200
LONGEST_VALUE: Final = 200

# A key in lower case and the value as it is written; None where there is no value to match.
Row: TypeAlias = tuple[str, str | None]

_SPECIAL: Final = frozenset(
    (
        "attachments",
        "relations",
        "status",
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "metadata.etag",
    )
)


def rows(entity: Body) -> list[Row]:
    """The rows of an entity as read, each (key, value in lower case) once."""
    found: list[Row] = []
    seen: set[Row] = set()
    for path, value in _all(entity):
        key = path.lower()
        if len(key) > LONGEST_KEY:
            continue
        text = None if value is None else js_text(value)
        folded = None if text is None else text.lower()
        if folded is None or len(folded) > LONGEST_VALUE:
            text = folded = None
        if (key, folded) not in seen:
            seen.add((key, folded))
            found.append((key, text))
    return found


def _all(entity: Body) -> Iterator[tuple[str, Json]]:
    yield from _visit("", entity)
    metadata = entity["metadata"]
    for name in ("name", "namespace", "uid"):
        yield f"metadata.{name}", metadata[name]
    for relation in entity["relations"]:
        yield f"relations.{relation['type']}", relation["targetRef"]


def _visit(path: str, value: Json) -> Iterator[tuple[str, Json]]:
    if path in _SPECIAL:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _visit(f"{path}.{key}" if path else key, inner)
    elif isinstance(value, list):
        for item in value:
            yield from _visit(path, item)
            if isinstance(item, str):
                yield f"{path}.{item}", True
    else:
        yield path, value

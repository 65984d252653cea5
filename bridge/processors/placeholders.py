"""Placeholders in entities: Backstage fetches what they name, so none of them is published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bridge.language.text_faults import clean
from bridge.model.definitions import definition_of, with_definition
from bridge.model.entities import Body, Json
from bridge.processors.rules import DEPTH_LIMIT


def neutralise(body: Body) -> Body:
    """The entity without placeholders; the very same object when it holds none.

    An object whose only key starts with `$` (`$text`, `$json`, `$yaml`, and whatever an installed
    resolver adds) makes Backstage fetch what its value names, so the key loses its `$`. What is
    nested deeper than 64 levels is replaced by a word that says so.
    """
    return neutralised(body)[0]


def neutralised(body: Body) -> tuple[Body, tuple[str, ...]]:
    """`neutralise`, and the paths in the entity where something was changed."""
    changed: list[str] = []
    if definition_of(body) is not None:
        # Fester's own: it leads to a file beside the shards, and nowhere else.
        own = body["spec"]["definition"]
        tame, paths = neutralised(with_definition(body, "-"))
        return with_definition(tame, own) if paths else body, paths
    tame = _tame(body, 1, changed)
    # Paths are worked out only for the rare entity that needs them.
    return (tame, tuple(_wild(body, "", 1))) if changed else (body, ())


def _tame(value: Json, depth: int, changed: list[str]) -> Json:
    """The value made harmless: the same object unless something in it had to change."""
    if depth > DEPTH_LIMIT:
        changed.append("depth")
        return "(nested too deep)"
    if isinstance(value, list):
        made: list[Json] | None = None
        for index, item in enumerate(value):
            if isinstance(item, dict | list):
                tame = _tame(item, depth + 1, changed)
                if tame is not item:
                    made = list(value) if made is None else made
                    made[index] = tame
        return value if made is None else made
    pairs: dict[str, Json] | None = None
    for key, item in value.items():
        if isinstance(item, dict | list):
            tame = _tame(item, depth + 1, changed)
            if tame is not item:
                pairs = dict(value) if pairs is None else pairs
                pairs[key] = tame
    whole = value if pairs is None else pairs
    if _is_placeholder(value):
        changed.append("placeholder")
        return {str(key).lstrip("$") or "value": item for key, item in whole.items()}
    return whole


def _is_placeholder(value: Mapping[str, Json]) -> bool:
    return len(value) == 1 and str(next(iter(value))).startswith("$")


def _wild(value: Json, path: str, depth: int) -> Iterator[str]:
    if depth > DEPTH_LIMIT:
        yield clean(path)
        return
    items: Iterator[tuple[str, Json]] = iter(())
    if isinstance(value, dict):
        if _is_placeholder(value):
            yield clean(path) or "the whole entity"
        items = ((f"{path}.{key}" if path else str(key), item) for key, item in value.items())
    elif isinstance(value, list):
        items = ((f"{path}[{index}]", item) for index, item in enumerate(value))
    for place, item in items:
        if isinstance(item, dict | list):
            yield from _wild(item, place, depth + 1)

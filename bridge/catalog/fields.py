"""Parts of an entity, as the parameter `fields` asks for them."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.catalog.jsontext import dumped, loaded
from bridge.errors import BadQuestion
from bridge.model.entities import Json

MOST_FIELDS = 100
LONGEST_FIELD = 500


def fields_from(texts: Sequence[str]) -> tuple[str, ...]:
    """The fields named in texts that hold one or more, split by commas. Raises `BadQuestion`."""
    found = dict.fromkeys(part.strip() for text in texts for part in text.split(","))
    found.pop("", None)
    if len(found) > MOST_FIELDS or any(len(field) > LONGEST_FIELD for field in found):
        raise BadQuestion(
            f"Invalid fields, at most {MOST_FIELDS} of at most {LONGEST_FIELD} characters"
        )
    for field in found:
        if "[" in field:
            raise BadQuestion(f'Invalid field "{field}", array type fields are not supported')
    return tuple(found)


def projected(raw: bytes, fields: Sequence[str]) -> bytes:
    """Only these fields of an entity; the whole of it when there are none."""
    if not fields:
        return raw
    entity = loaded(raw)
    output: dict[str, Json] = {}
    for field in fields:
        path, found = _walk(entity, field)
        if path and found is not _MISSING:
            _set(output, path, found)
    return dumped(output)


_MISSING = object()


def _walk(entity: Json, field: str) -> tuple[list[str], Json]:
    """Follow a dotted path; a key that holds dots itself is found by its longer spellings."""
    path: list[str] = []
    held: str | None = None  # parts that are no key yet
    for part in field.split("."):
        key = part if held is None else f"{held}.{part}"
        if isinstance(entity, dict) and key in entity:
            path.append(key)
            entity, held = entity[key], None
        else:
            held = key
    return path, entity if held is None else _MISSING


def _set(output: dict[str, Json], path: Sequence[str], value: Json) -> None:
    *way, last = path
    for key in way:
        inner = output.get(key)
        if not isinstance(inner, dict):
            inner = output[key] = {}
        output = inner
    output[last] = value

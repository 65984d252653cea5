"""What became of an entity: when a pass found it, in which manifest, and field by field."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from bridge.model.entities import CatalogEntity, Json, Ref

MOST_FIELDS: Final = 20
MOST_MANIFESTS: Final = 5
LONGEST: Final = 200  # characters of a value
_DEEPEST: Final = 8


class ChangeKind(StrEnum):
    """What happened to an entity."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field by its path ("spec.owner"), as text; None where it was not, or is no more.

    Of a list, `before` and `after` are what was taken out of it and what was put into it.
    """

    path: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class ChangedManifest:
    """A manifest that a changed entity is made of. `blob` is its text's id in Git."""

    project: str
    file: str
    blob: str


@dataclass(frozen=True, slots=True)
class EntityChange:
    """One change. `fields` are the first `MOST_FIELDS`, `left_out` counts the others.

    `manifests` are those that changed; where none did (what it refers to went, a mapping changed),
    those that it is made of. `number` is the store's own and only grows; 0 before it has one.
    """

    ref: Ref
    kind: ChangeKind
    at: datetime
    title: str
    owner: str = ""
    owner_before: str = ""
    manifests: tuple[ChangedManifest, ...] = ()
    fields: tuple[FieldChange, ...] = ()
    left_out: int = 0
    number: int = 0

    def as_json(self) -> dict[str, Json]:
        """The change as programs get it: by the API, webhooks, assistants."""
        return {
            "number": self.number,
            "at": self.at.isoformat(timespec="seconds"),
            "kind": self.kind.value,
            "ref": str(self.ref),
            "title": self.title,
            "owner": self.owner or None,
            "ownerBefore": self.owner_before or None,
            "manifests": [asdict(each) for each in self.manifests],
            "fields": [asdict(each) for each in self.fields],
            "fieldsLeftOut": self.left_out,
        }


@dataclass(frozen=True, slots=True)
class ChangeQuery:
    """Which changes, newest first: all that is given must fit; "" and None fit everything.

    `refs` are references, of which one must fit; `owner` is one, `project` a path. `below` and
    `above` are numbers of changes; with `oldest_first` the list begins at the other end.
    """

    refs: tuple[str, ...] = ()
    entity_kind: str = ""
    owner: str = ""
    project: str = ""
    kind: str = ""
    since: datetime | None = None
    until: datetime | None = None
    below: int | None = None
    above: int | None = None
    oldest_first: bool = False
    limit: int = 100


def change_of(
    ref: Ref, before: CatalogEntity | None, after: CatalogEntity | None, at: datetime
) -> EntityChange | None:
    """What became of an entity; None when nothing that is published of it differs."""
    shown = after or before
    if shown is None:
        return None
    fields: list[FieldChange] = []
    if before is not None and after is not None:
        fields = list(_fields(before.body, after.body))
        fields += _list("manifests", _sources(before), _sources(after))
        if not fields:
            return None
    kind = ChangeKind.ADDED if before is None else ChangeKind.REMOVED
    return EntityChange(
        ref,
        kind if before is None or after is None else ChangeKind.CHANGED,
        at,
        _text(shown.body["metadata"].get("title") or shown.body["metadata"]["name"]),
        _owner(after) or _owner(before),
        _owner(before),
        tuple(_manifests(before, after)),
        tuple(fields[:MOST_FIELDS]),
        max(0, len(fields) - MOST_FIELDS),
    )


def _owner(entity: CatalogEntity | None) -> str:
    text = (entity.body.get("spec") or {}).get("owner") if entity is not None else None
    try:
        return str(Ref.parse(text, kind="group")) if isinstance(text, str) else ""
    except ValueError:
        return ""


def _sources(entity: CatalogEntity) -> list[Json]:
    kept = " (kept as it was: its newer text is broken)"
    return [f"{e.project} {e.file}{kept if e.kept_since else ''}" for e in entity.origins]


def _manifests(
    before: CatalogEntity | None, after: CatalogEntity | None
) -> Iterator[ChangedManifest]:
    old = {(each.project_id, each.file): each.oid for each in (before.origins if before else ())}
    origins = after.origins if after is not None else before.origins if before is not None else ()
    changed = [each for each in origins if old.get((each.project_id, each.file)) != each.oid]
    for each in (changed or list(origins))[:MOST_MANIFESTS]:
        yield ChangedManifest(_text(each.project), _text(each.file), each.oid)


def _fields(
    before: Mapping[str, Json], after: Mapping[str, Json], path: str = "", depth: int = 0
) -> Iterator[FieldChange]:
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        name = f"{path}.{key}" if path else key
        maps = isinstance(old, dict | None) and isinstance(new, dict | None)
        if maps and depth < _DEEPEST:
            yield from _fields(old or {}, new or {}, name, depth + 1)
        elif isinstance(old, list | None) and isinstance(new, list | None):
            yield from _list(name, old or [], new or [])
        else:
            yield FieldChange(_text(name), _value(old), _value(new))


def _list(path: str, before: Sequence[Json], after: Sequence[Json]) -> Iterator[FieldChange]:
    """What went and what came; of another order alone, both lists."""
    old, new = [_text(each) for each in before], [_text(each) for each in after]
    if old == new:
        return
    gone, came = Counter(old) - Counter(new), Counter(new) - Counter(old)
    if not (gone or came):
        gone, came = Counter(old), Counter(new)
    yield FieldChange(_text(path), _joined(gone), _joined(came))


def _joined(items: Counter[str]) -> str | None:
    return _value(", ".join(items.elements())) if items else None


def _value(value: Json) -> str | None:
    return None if value is None else _text(value)


def _text(value: Json) -> str:
    """One printable, bounded line."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    line = "".join(char if char.isprintable() else " " for char in text[: 2 * LONGEST])
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"

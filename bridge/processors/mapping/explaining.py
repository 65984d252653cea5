"""Explains where each field of an entity comes from: the mapping's line and the manifest's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bridge.language.text import Path, Position
from bridge.model.entities import Body, Json, Ref
from bridge.model.manifests import Translation
from bridge.processors.mapping.defaults import ByKey
from bridge.processors.mapping.templates import Traced, plain
from bridge.processors.mapping.work import Work


@dataclass(frozen=True, slots=True)
class Field:
    """One field: `path` in the entity, its value, the mapping's `file:line:col`, the sources.

    `sources` are places in the manifest; empty for what the mapping writes itself or takes from
    the project. `inherited`: it comes from what several manifests of the file share. `defaults`
    are places in the defaults for the project's groups.
    """

    path: str
    value: Json
    mapping: str
    sources: tuple[Position, ...] = ()
    inherited: bool = False
    defaults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExplainedEntity:
    """One entity, and where its fields come from."""

    ref: Ref
    body: Body
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class MappingExplanation:
    """What a manifest became and why."""

    translation: Translation
    entities: tuple[ExplainedEntity, ...] = ()


def explanation(translation: Translation, work: Work) -> MappingExplanation:
    """The explanation of work that was done while telling."""
    entities = []
    for made in work.made:
        body = plain(made.body)
        fields = tuple(_fields(work, made.document, made.body, ""))
        entities.append(ExplainedEntity(Ref.of(body), body, fields))
    return MappingExplanation(translation, tuple(entities))


def _fields(work: Work, document: int, value: Json, path: str) -> Iterator[Field]:
    if isinstance(value, Traced):
        positions = work.documents.positions(document)
        given = {s: _default(work.documents.given.get(document, {}), s) for s in value.sources}
        own = (positions.value(source) for source in value.sources if not given[source])
        sources = tuple(dict.fromkeys(own))
        defaults = tuple(dict.fromkeys(filter(None, given.values())))
        part = work.documents.parts.get(document)
        inherited = part is not None and any(s[:2] in part.inherited for s in value.sources)
        yield Field(path, plain(value), value.place, sources, inherited, defaults)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _fields(work, document, item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _fields(work, document, item, f"{path}[{index}]")


def _default(given: ByKey, source: Path) -> str:
    """Where a value stands in the defaults for the project's groups; "" for one that does not."""
    for length in range(1, len(source) + 1):
        if source[:length] in given:
            return given[source[:length]].place(source[length:])
    return ""

"""References by a name that an entity also goes by: an alias, its title, another spelling.

A manifest may call a service `catalog_service`, or by one of its aliases, where the entity is
`catalog-service`. What is named exactly always wins; a name that two entities go by is nobody's.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Final

from bridge.language.naming import slug
from bridge.model.entities import CatalogEntity, Json, Ref
from bridge.model.suggested_owner import SOURCE_NAME
from bridge.processors.references import reference_fields, referred
from bridge.processors.rules import SpecField

ALIASES: Final = "fester.dev/aliases"  # with commas between them
_MOST_ALIASES: Final = 100  # of one entity
_SEPARATORS: Final = re.compile(r"[-_.]+")


def spelt(ref: Ref) -> Ref:
    """The reference with one separator for all: `catalog_service` is `catalog-service`."""
    name = _SEPARATORS.sub("-", ref.name)
    return ref if name == ref.name else replace(ref, name=name)


def _aliases(entity: CatalogEntity) -> Iterator[str]:
    annotations = entity.body["metadata"].get("annotations") or {}
    written = str(annotations.get(ALIASES, "")).split(",")[:_MOST_ALIASES]
    for name in (*written, str(annotations.get(SOURCE_NAME, ""))):
        alias = slug(name.strip()) if name.strip() else None
        if alias and alias != entity.ref.name:
            yield alias


def names_of(entity: CatalogEntity) -> frozenset[tuple[int, Ref]]:
    """The names that an entity goes by, each with its rank: the lowest that is found counts.

    0: its aliases; 1: itself in another spelling; 2: an alias in another spelling.
    """
    names = {(1, spelt(entity.ref))}
    for alias in _aliases(entity):
        also = replace(entity.ref, name=alias)
        names |= {(0, also), (2, spelt(also))}
    return frozenset(names)


def candidates(target: Ref, names: Mapping[tuple[int, Ref], Collection[Ref]]) -> list[Ref]:
    """The entities that a reference to nothing may mean, by the names that entities go by."""
    for name in ((0, target), (1, spelt(target)), (2, spelt(target))):
        found = names.get(name)
        if found:
            return sorted(found)
    return []


def right(
    entity: CatalogEntity,
    missing: Collection[Ref],
    names: Mapping[tuple[int, Ref], Collection[Ref]],
) -> tuple[CatalogEntity, dict[Ref, list[Ref]]]:
    """The entity with references by other names put right, and those that may mean several.

    An entity whose references need nothing is the very same object. A name that nobody goes by
    stays as it is: `references.dangling` reports it.
    """
    changes: dict[Ref, Ref] = {}
    several: dict[Ref, list[Ref]] = {}
    for target in missing:
        found = candidates(target, names)
        if len(found) == 1 and found[0] != entity.ref:
            changes[target] = found[0]
        elif len(found) > 1:
            several[target] = found
    return (_renamed(entity, changes) if changes else entity), several


def _renamed(entity: CatalogEntity, changes: Mapping[Ref, Ref]) -> CatalogEntity:
    """The entity with some of its references replaced; each is named once."""
    spec = dict(entity.body["spec"])
    for key, each in reference_fields(entity.body):
        if key in spec:
            texts = spec[key] if each.many else [spec[key]]
            right = list(dict.fromkeys(_right(text, each, entity, changes) for text in texts))
            spec[key] = right if each.many else right[0]
    return replace(entity, body={**entity.body, "spec": spec})


def _right(text: Json, each: SpecField, entity: CatalogEntity, changes: Mapping[Ref, Ref]) -> Json:
    target = referred(text, each, entity.body)
    return str(changes[target]) if target is not None and target in changes else text

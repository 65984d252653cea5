"""References by a name that an entity also goes by: an alias, its title, another spelling.

A manifest may call a service `catalog_service`, or by one of its aliases, where the entity is
`catalog-service`. What is named exactly always wins; a name that two entities go by is nobody's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from bridge.caching.memo import PassMemo
from bridge.language.naming import slug
from bridge.model.entities import Catalog, CatalogEntity, Json, Ref
from bridge.processors.references import reference_fields, referred, targets
from bridge.processors.rules import SpecField

ALIASES: Final = "fester.dev/aliases"  # with commas between them
SOURCE_NAME: Final = "fester.dev/source-name"  # the name as a person wrote it
_MOST_ALIASES: Final = 100  # of one entity
_SEPARATORS: Final = re.compile(r"[-_.]+")


class Earlier:
    """What was worked out in the pass before: where entities point, and what they became."""

    def __init__(self) -> None:
        self.targets: PassMemo[Ref, tuple[Ref, ...]] = PassMemo()
        self.resolved: PassMemo[Ref, CatalogEntity] = PassMemo()


@dataclass(slots=True)
class _Names:
    """Who goes by which name. A name of several entities leads to all of them."""

    by_alias: dict[Ref, list[Ref]] = field(default_factory=dict)
    by_spelling: dict[Ref, list[Ref]] = field(default_factory=dict)
    by_alias_spelt: dict[Ref, list[Ref]] = field(default_factory=dict)

    @classmethod
    def of(cls, entities: Iterable[CatalogEntity]) -> _Names:
        names = cls()
        for entity in entities:
            for alias in dict.fromkeys(_aliases(entity)):
                also = replace(entity.ref, name=alias)
                names._add(names.by_alias, also, entity.ref)
                names._add(names.by_alias_spelt, _spelt(also), entity.ref)
            names._add(names.by_spelling, _spelt(entity.ref), entity.ref)
        return names

    @staticmethod
    def _add(table: dict[Ref, list[Ref]], name: Ref, ref: Ref) -> None:
        known = table.setdefault(name, [])
        if ref not in known:
            known.append(ref)

    def candidates(self, target: Ref) -> list[Ref]:
        """The entities that a name may mean: by alias first, then by another spelling."""
        spelt = _spelt(target)
        return (
            self.by_alias.get(target)
            or self.by_spelling.get(spelt)
            or self.by_alias_spelt.get(spelt, [])
        )


def _spelt(ref: Ref) -> Ref:
    """The reference with one separator for all: `catalog_service` is `catalog-service`."""
    return replace(ref, name=_SEPARATORS.sub("-", ref.name))


def _aliases(entity: CatalogEntity) -> Iterator[str]:
    annotations = entity.body["metadata"].get("annotations") or {}
    written = str(annotations.get(ALIASES, "")).split(",")[:_MOST_ALIASES]
    for name in (*written, str(annotations.get(SOURCE_NAME, ""))):
        alias = slug(name.strip()) if name.strip() else None
        if alias and alias != entity.ref.name:
            yield alias


def resolved(
    catalog: Catalog, earlier: Earlier | None = None
) -> tuple[Catalog, Mapping[Ref, list[Ref]]]:
    """The catalog with references by other names put right, and those that may mean several.

    Entities whose references need nothing are the very same objects. Names that nobody goes by
    stay as they are: `references.dangling` reports them.
    """
    earlier = earlier or Earlier()
    refs = {entity.ref for entity in catalog.entities}
    entities: list[CatalogEntity] = []
    several: dict[Ref, list[Ref]] = {}
    names: _Names | None = None
    with earlier.targets.round() as known, earlier.resolved.round() as made:
        for entity in catalog.entities:
            pointing = known.get(entity.ref, [entity], partial(_pointing, entity))
            changes: dict[Ref, Ref] = {}
            for target in pointing:
                if target in refs:
                    continue
                names = names or _Names.of(catalog.entities)
                found = names.candidates(target)
                if len(found) == 1 and found[0] != entity.ref:
                    changes[target] = found[0]
                elif len(found) > 1:
                    several[target] = found
            if changes:
                basis = [entity, *(str(ref) for pair in changes.items() for ref in pair)]
                right = partial(_renamed, entity, changes)
                entities.append(made.get(entity.ref, basis, right))
            else:
                entities.append(entity)
    return replace(catalog, entities=tuple(entities)), several


def _pointing(entity: CatalogEntity) -> tuple[Ref, ...]:
    return tuple(dict.fromkeys(target for _, target in targets(entity.body)))


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

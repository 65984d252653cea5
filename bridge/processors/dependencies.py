"""What a service depends on and nobody describes: a resource is made, anything else is left out.

Backstage warns on a service's page of every relation that leads nowhere. A database seldom has a
manifest of its own, so a Resource is made of what services say. A component that no manifest
describes is more likely misspelt: it stays a problem, and its relation is not published until it
is there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from bridge.caching.memo import PassMemo
from bridge.model.entities import DEFAULT_NAMESPACE, Body, Catalog, CatalogEntity, Json, Ref
from bridge.model.manifests import TranslatedManifest
from bridge.processors.provenance import with_source
from bridge.processors.references import targets
from bridge.processors.rules import broken_rules

NAMED_BY: Final = "fester.dev/named-by"  # on a Resource that was made: who depends on it
MISSING: Final = "fester.dev/missing-dependencies"  # on a service: what was left out
_FIELD: Final = "dependsOn"
_MOST_NAMED: Final = 20  # references in one annotation
_MOST_LEFT_OUT: Final = 100
_MOST_SHOWN: Final = 3  # in one sentence
_UNKNOWN_AGE: Final = "\U0010ffff"  # sorts after every date

Manifests: TypeAlias = Mapping[tuple[int, str], TranslatedManifest]
Needs: TypeAlias = Mapping[Ref, Sequence[Ref]]


class Earlier:
    """What was worked out in the pass before."""

    def __init__(self) -> None:
        self.needed: PassMemo[Ref, tuple[Ref, ...]] = PassMemo()
        self.resources: PassMemo[Ref, CatalogEntity | None] = PassMemo()
        self.published: PassMemo[Ref, CatalogEntity] = PassMemo()


def needed(catalog: Catalog, earlier: Earlier) -> dict[Ref, tuple[Ref, ...]]:
    """What each entity depends on, for those that depend on something."""
    with earlier.needed.round() as known:
        found = {
            entity.ref: known.get(entity.ref, [entity], lambda each=entity: _needed(each))  # type: ignore[misc]
            for entity in catalog.entities
        }
    return {ref: needs for ref, needs in found.items() if needs}


def _needed(entity: CatalogEntity) -> tuple[Ref, ...]:
    return tuple(dict.fromkeys(target for _, target in targets(entity.body, _FIELD)))


def with_resources(
    catalog: Catalog,
    needs: Needs,
    manifests: Manifests,
    earlier: Earlier,
    others: Collection[Ref] = (),
) -> Catalog:
    """The catalog with a Resource for each one that is depended on and that nobody describes.

    None is made of `others`: those that are known elsewhere, or names that several go by.

    It belongs to the owner of the service that has been there longest of those that name it; an
    unknown age comes last, and of one age the lowest project id counts.
    """
    there = {entity.ref for entity in catalog.entities}
    naming: dict[Ref, list[CatalogEntity]] = {}
    for entity in catalog.entities:
        for target in needs.get(entity.ref, ()):
            if target.kind == "resource" and target not in there and target not in others:
                naming.setdefault(target, []).append(entity)
    made: list[CatalogEntity] = []
    with earlier.resources.round() as known:
        for ref, services in naming.items():
            services.sort(key=lambda each: _age(each, manifests))
            first = _first(services[0], manifests)
            resource = known.get(
                ref,
                [*services, *((first.project, first.file) if first is not None else ())],
                lambda ref=ref, services=services, first=first: _resource(ref, services, first),  # type: ignore[misc]
            )
            made += [resource] if resource is not None else []
    return Catalog(tuple(sorted((*catalog.entities, *made), key=lambda each: str(each.ref))))


def _age(entity: CatalogEntity, manifests: Manifests) -> tuple[str, int, str, str]:
    first = _first(entity, manifests)
    if first is None:
        return _UNKNOWN_AGE, 0, "", str(entity.ref)
    return first.held_since or _UNKNOWN_AGE, first.project.id, first.file, str(entity.ref)


def _first(entity: CatalogEntity, manifests: Manifests) -> TranslatedManifest | None:
    origin = entity.origins[0] if entity.origins else None
    return manifests.get((origin.project_id, origin.file)) if origin else None


def _resource(
    ref: Ref, services: Sequence[CatalogEntity], first: TranslatedManifest | None
) -> CatalogEntity | None:
    """The Resource of these services, the owner's first; None when Backstage would refuse it."""
    body = _body(ref, services)
    body = with_source(body, first) if first is not None else body
    origins = tuple(sorted({origin for each in services for origin in each.origins[:1]}))
    return None if broken_rules(body) else CatalogEntity(ref, body, origins)


def _body(ref: Ref, services: Sequence[CatalogEntity]) -> Body:
    names = [str(each.ref) for each in services]
    spec: dict[str, Json] = {"type": "unspecified"}
    spec |= _related(services[0], "owner", "group")
    systems = [_related(each, "system", "system") for each in services]
    if all(each == systems[0] for each in systems):
        spec |= systems[0]
    metadata: dict[str, Json] = {
        "name": ref.name,
        "description": _description(services),
        "annotations": {NAMED_BY: _listed(names)},
    }
    if ref.namespace != DEFAULT_NAMESPACE:
        metadata["namespace"] = ref.namespace
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Resource",
        "metadata": metadata,
        "spec": spec,
    }


def _related(entity: CatalogEntity, key: str, kind: str) -> dict[str, str]:
    """One field of an entity's spec as a whole reference, which holds in any namespace."""
    text = entity.body["spec"].get(key)
    if not isinstance(text, str):
        return {}
    try:
        return {key: str(Ref.parse(text.strip(), kind=kind, namespace=entity.ref.namespace))}
    except ValueError:
        return {}


def _description(services: Sequence[CatalogEntity]) -> str:
    names = [each.ref.name for each in services[:_MOST_SHOWN]]
    if len(services) > _MOST_SHOWN:
        names.append(f"{len(services) - _MOST_SHOWN} more")
    shown = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    name, owner = ("name", " The first of them owns it.") if len(names) > 1 else ("names", "")
    return f"What {shown} {name} as a dependency; no manifest describes it.{owner}"


def _listed(names: Sequence[str]) -> str:
    more = f", and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"{', '.join(names[:_MOST_NAMED])}{more}"


def without_missing(
    catalog: Catalog, needs: Needs, earlier: Earlier, elsewhere: Collection[Ref] = ()
) -> Catalog:
    """The catalog without dependencies that lead nowhere; an annotation names what was left out.

    Those that are known `elsewhere` lead there.
    """
    there = {*(entity.ref for entity in catalog.entities), *elsewhere}
    entities = []
    with earlier.published.round() as known:
        for entity in catalog.entities:
            lost = tuple(each for each in needs.get(entity.ref, ()) if each not in there)
            if not lost:
                entities.append(entity)
                continue
            basis = [entity, *map(str, lost)]
            entities.append(
                known.get(entity.ref, basis, lambda e=entity, lost=lost: _without(e, lost))  # type: ignore[misc]
            )
    return replace(catalog, entities=tuple(entities))


def _without(entity: CatalogEntity, lost: Sequence[Ref]) -> CatalogEntity:
    spec, metadata = dict(entity.body["spec"]), entity.body["metadata"]
    kept = [
        text
        for text in spec[_FIELD]
        if not _names_any({**entity.body, "spec": {_FIELD: [text]}}, lost)
    ]
    if kept:
        spec[_FIELD] = kept
    else:
        del spec[_FIELD]
    annotations = {
        **(metadata.get("annotations") or {}),
        MISSING: ", ".join(map(str, lost[:_MOST_LEFT_OUT])),
    }
    changed = {**entity.body, "metadata": {**metadata, "annotations": annotations}, "spec": spec}
    return replace(entity, body=changed)


def _names_any(body: Body, lost: Sequence[Ref]) -> bool:
    """Whether a body depends on one of these."""
    return any(target in lost for _, target in targets(body, _FIELD))

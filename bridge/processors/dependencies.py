"""What a service depends on and nobody describes: a resource is made, anything else is left out.

Backstage warns on a service's page of every relation that leads nowhere. A database seldom has a
manifest of its own, so a Resource is made of what services say. A component that no manifest
describes is more likely misspelt: it stays a problem, and its relation is not published until it
is there.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from bridge.model.entities import DEFAULT_NAMESPACE, Body, CatalogEntity, Json, Ref
from bridge.model.manifests import TranslatedManifest
from bridge.model.moments import AFTER_ALL
from bridge.processors.provenance import with_source
from bridge.processors.references import targets
from bridge.processors.rules import broken_rules

NAMED_BY: Final = "fester.dev/named-by"  # on a Resource that was made: who depends on it
MISSING: Final = "fester.dev/missing-dependencies"  # on a service: what was left out
_FIELD: Final = "dependsOn"
_MOST_NAMED: Final = 20  # references in one annotation
_MOST_LEFT_OUT: Final = 100
_MOST_SHOWN: Final = 3  # in one sentence


def needed(body: Body) -> frozenset[Ref]:
    """What an entity depends on."""
    return frozenset(target for _, target in targets(body, _FIELD))


def age(entity: CatalogEntity) -> tuple[datetime, int, str, str]:
    """Sorts services: the one that is there longest first, an unknown age last."""
    if not entity.origins:
        return AFTER_ALL, 0, "", str(entity.ref)
    first = entity.origins[0]
    return first.held_since or AFTER_ALL, first.project_id, first.file, str(entity.ref)


def resource_of(
    ref: Ref, services: Sequence[CatalogEntity], first: TranslatedManifest | None
) -> CatalogEntity | None:
    """The Resource that services depend on and nobody describes.

    `services` (at least one) are sorted by `age`: it belongs to the owner of the first of them,
    whose manifest is `first`. None when Backstage would refuse it.
    """
    return _resource(ref, services, first)


def without(entity: CatalogEntity, missing: Collection[Ref]) -> CatalogEntity:
    """The entity without dependencies on what is missing; an annotation names what was left out."""
    needs = dict.fromkeys(target for _, target in targets(entity.body, _FIELD))
    lost = tuple(each for each in needs if each in missing)
    return _without(entity, lost) if lost else entity


def _resource(
    ref: Ref, services: Sequence[CatalogEntity], first: TranslatedManifest | None
) -> CatalogEntity | None:
    """The Resource of these services, the owner's first; None when Backstage would refuse it."""
    body = _body(ref, services)
    body = with_source(body, first) if first is not None else body
    found = {origin for each in services for origin in each.origins[:1]}
    origins = tuple(sorted(found, key=lambda each: each.place))
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

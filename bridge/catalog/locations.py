"""Where entities are read from, as Backstage names it: locations and their entities.

One location is registered, the published index. Backstage makes an entity of it; the index's
`Location` entities come from there, and every other entity from the shard that one of them names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha1
from typing import Final
from uuid import UUID, uuid5

from bridge.catalog.conditions import operator_of
from bridge.catalog.jsontext import js_text
from bridge.errors import BadQuestion
from bridge.model.entities import Body, CatalogEntity, Json, Ref, Shard

# Ours alone; never changes, or every uid would.
NAMESPACE: Final = UUID("6f1b4f0e-3c7b-5a51-9d0a-fe57e2ca7a10")

INDEX_PATH: Final = "catalog/index.yaml"


@dataclass(frozen=True, slots=True)
class Place:
    """One registered location."""

    id: str
    type: str
    target: str
    entity_ref: str

    def as_json(self) -> dict[str, str]:
        """The shape of the locations API."""
        return {
            "id": self.id,
            "type": self.type,
            "target": self.target,
            "entityRef": self.entity_ref,
        }


@dataclass(frozen=True, slots=True)
class LocatedEntity:
    """An entity with the address that it is read from, the first address, and its parent."""

    body: Body
    address: str
    origin: str
    parent: str


def located(places: Sequence[Place], query: Json) -> list[Place]:
    """Those that a checked predicate matches, by id. Raises `BadQuestion`."""
    if query is None:
        return sorted(places, key=lambda place: place.id)
    return [place for place in located(places, None) if _matches(place, query)]


def _matches(place: Place, query: Json) -> bool:
    if not isinstance(query, dict):
        raise BadQuestion("Invalid filter predicate, expected an object")
    if "$all" in query:  # an empty one matches nothing, other than with entities
        return bool(query["$all"]) and all(_matches(place, each) for each in query["$all"])
    if "$any" in query:
        return any(_matches(place, each) for each in query["$any"])
    if "$not" in query:
        return not _matches(place, query["$not"])
    found = {key.lower(): value for key, value in place.as_json().items()}
    for key in query:
        if key.lower() not in found:
            raise BadQuestion(
                "Invalid filter predicate, expected key to be 'id', 'type', 'target', or "
                f"'entityRef', got '{key[:200]}'"
            )
    return all(_fits(found[key.lower()], value) for key, value in query.items())


def _fits(text: str, value: Json) -> bool:
    operator = operator_of(value)
    if not operator:
        return text.upper() == js_text(value).upper()
    if operator == "$exists":
        return bool(value["$exists"])
    if operator == "$in":
        return any(text.upper() == js_text(each).upper() for each in value["$in"])
    return operator == "$hasPrefix" and text.upper().startswith(value["$hasPrefix"].upper())


def registered(public_url: str) -> Place:
    """The location of the published index."""
    target = f"{public_url.rstrip('/')}/{INDEX_PATH}"
    # Backstage names the entity of a registered location by this digest.
    digest = sha1(f"url:{target}".encode(), usedforsecurity=False).hexdigest()
    ref = f"location:default/generated-{digest}"
    return Place(str(uuid5(NAMESPACE, f"location {target}")), "url", target, ref)


def root_found(place: Place) -> LocatedEntity:
    """The registered location as an entity."""
    root = {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Location",
        "metadata": {"name": place.entity_ref.partition("/")[2]},
        "spec": {"type": place.type, "target": place.target},
    }
    return LocatedEntity(root, place.target, place.target, "")


def location_found(place: Place, location: Body) -> LocatedEntity:
    """A shard's Location, which the index names."""
    return LocatedEntity(location, place.target, place.target, place.entity_ref)


def entity_found(place: Place, shard: Shard, body: Body) -> LocatedEntity:
    """An entity of a shard."""
    base = place.target.removesuffix("index.yaml")
    return LocatedEntity(body, f"{base}{shard.path}", place.target, str(Ref.of(shard.location)))


def found_at(
    place: Place, shards: Sequence[Shard], entities: Sequence[CatalogEntity]
) -> Iterator[tuple[str, LocatedEntity]]:
    """Every entity by reference: the location's own, the index's Locations, and all others."""
    yield place.entity_ref, root_found(place)
    homes: dict[Ref, Shard] = {}
    for shard in shards:
        yield str(Ref.of(shard.location)), location_found(place, shard.location)
        homes.update(dict.fromkeys(shard.refs, shard))
    for entity in entities:
        home = homes.get(entity.ref)
        yield (
            str(entity.ref),
            entity_found(place, home, entity.body)
            if home is not None
            else LocatedEntity(entity.body, place.target, place.target, place.entity_ref),
        )

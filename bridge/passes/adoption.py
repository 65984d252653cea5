"""Whose the destinations are, and what is taken over from them before a first pass.

A destination knows by its mark which source and which store publish to it. Another's is refused.
Where the store is new, or lost what it knew, what lies at the destination is adopted: each entity
stands for the manifest that it came from, with that manifest's claim, until it is read again. So a
gap is no absence here, too, and the guard counts what a pass would remove.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from bridge.model.definitions import definition_of, is_named_after
from bridge.model.destinations import DestinationContent, Mark, PublishedCatalog, refusal
from bridge.model.entities import Catalog, CatalogEntity, Draft, Origin, Ref
from bridge.model.manifests import TranslatedManifest, Translation, Verdict
from bridge.model.memory import KnownManifest, KnownProject, ManifestKey, Memory
from bridge.model.scrape import Project

ADOPTED = "adopted"  # the fingerprint of a translation that was read from a published catalog
_HEADER = b"# Written by Fester"
_SOURCE_LOCATION = "backstage.io/source-location"

_Parts: TypeAlias = dict[ManifestKey, list[tuple[CatalogEntity, Origin]]]


def by_manifest(entities: Iterable[CatalogEntity]) -> _Parts:
    """The entities that each manifest speaks of, with where they say they come from."""
    parts: _Parts = {}
    for entity in entities:
        for origin in entity.origins:
            parts.setdefault((origin.project_id, origin.file), []).append((entity, origin))
    return parts


def as_manifests(entities: Iterable[CatalogEntity]) -> list[TranslatedManifest]:
    """Entities as what their manifests would say, sorted by (project id, file)."""
    return [
        TranslatedManifest(
            _project(each),
            file,
            each[0][1].oid,
            _translation(each),
            kept_since=each[0][1].kept_since,
            held_since=each[0][1].held_since,
        )
        for (_, file), each in sorted(by_manifest(entities).items(), key=lambda item: item[0])
    ]


def _translation(parts: Sequence[tuple[CatalogEntity, Origin]]) -> Translation:
    drafts = tuple(Draft(entity.body) for entity, _ in parts)
    return Translation(Verdict.VALID, ADOPTED, parts[0][1].mapping, drafts)


def _project(parts: Sequence[tuple[CatalogEntity, Origin]]) -> Project:
    origin = parts[0][1]
    urls = (url for entity, _ in parts if (url := _web_url(entity)))
    return Project(origin.project_id, origin.project, next(urls, ""))


def _web_url(entity: CatalogEntity) -> str:
    """The project's page, as far as an entity of one project alone tells it."""
    if len(entity.origins) != 1:
        return ""
    location = str(entity.body["metadata"].get("annotations", {}).get(_SOURCE_LOCATION, ""))
    url, found, _ = location.removeprefix("url:").partition("/-/")
    return url if found else ""


def adopt(memory: Memory, catalog: PublishedCatalog, now: datetime) -> Memory:
    """What is known, with what a published catalog tells of manifests that are not known.

    What the store knows of a project is newer than what was published of it.
    """
    projects = dict(memory.projects)
    manifests = dict(memory.manifests)
    # A claim whose age is not told is older than any that the next pass can find.
    age = min(catalog.at, now - timedelta(seconds=1)).replace(microsecond=0)
    for (project_id, file), parts in by_manifest(catalog.entities).items():
        if project_id in memory.projects or not project_id:  # an extension's say it anew
            continue
        projects.setdefault(project_id, KnownProject(_project(parts), read_at=age))
        manifests[project_id, file] = _known(project_id, file, parts, age)
    if projects == memory.projects:
        return memory
    horizon = replace(memory.horizon, swept_at=None)  # the next pass reads everything
    return Memory(projects, manifests, horizon)


def _known(
    project_id: int, file: str, parts: Sequence[tuple[CatalogEntity, Origin]], age: datetime
) -> KnownManifest:
    origin, said = parts[0][1], _translation(parts)
    held = origin.held_since or age
    if not origin.kept_since:
        return KnownManifest(project_id, file, origin.oid, said, held)
    return KnownManifest(  # its newer text was broken when this was published
        project_id,
        file,
        "",
        Translation(Verdict.QUARANTINED, ADOPTED),
        held,
        good=said,
        good_oid=origin.oid,
        broken_since=origin.kept_since,
    )


@dataclass(frozen=True, slots=True)
class DestinationStanding:
    """How a destination stands to who wants to publish there.

    `refusal` says why it must not be touched. Otherwise `adopt` says whether what lies there is
    to be known before anything is removed, and `claim` whether its mark has to change first.
    """

    refusal: str = ""
    adopt: bool = False
    claim: bool = False
    foreign: bool = False  # the projects there are another source's: their ids mean nothing here


def standing(
    found: DestinationContent, mark: Mark, *, new: bool, take_over: bool, name: str
) -> DestinationStanding:
    """Judge a destination by what lies there, for a publisher of `mark`.

    `new`: the store has saved no pass of the source yet. An unmarked catalog is to be judged by
    `is_plainly_ours` as well.
    """
    theirs = found.mark
    if theirs is None:
        return _unmarked(found.index, take_over, name)
    may_adopt = new and theirs.source == mark.source
    if not (take_over or may_adopt) and (why := refusal(theirs, mark, name)):
        return DestinationStanding(why)
    # A number that this store never drew: the store is another, or was restored from a backup.
    strange = (theirs.source, theirs.store) != (mark.source, mark.store)
    strange = strange or theirs.fence > mark.fence
    return DestinationStanding(
        adopt=new or strange, claim=strange, foreign=theirs.source != mark.source
    )


def _unmarked(index: bytes | None, take_over: bool, name: str) -> DestinationStanding:
    if index is None:
        return DestinationStanding()
    if not index.startswith(_HEADER) and not take_over:
        return DestinationStanding(
            f"{name} holds an index.yaml that Fester did not write: name an empty folder or "
            "prefix, or run once with --take-over to replace it"
        )
    return DestinationStanding(adopt=True, claim=True)


def is_plainly_ours(catalog: PublishedCatalog, memory: Memory, source: str) -> bool:
    """Whether an unmarked catalog, an older Fester's, came from this source.

    At least half of its entities come from projects that the store knows by number and path; or,
    where the store knows none, lead to the source's own address.
    """
    known = {(key, each.project.path) for key, each in memory.projects.items()}
    if known:
        told = [
            any((o.project_id, o.project) in known for o in e.origins) for e in catalog.entities
        ]
    else:
        # Merged entities need not lead anywhere; those of one project do.
        address = f"{source.rstrip('/')}/"
        told = [
            address in json.dumps(entity.body["metadata"].get("annotations", {}))
            for entity in catalog.entities
            if _SOURCE_LOCATION in entity.body["metadata"].get("annotations", {})
        ]
    return not catalog.entities or (bool(told) and sum(told) * 2 >= len(told))


def definitions_in(published: PublishedCatalog) -> dict[str, int]:
    """The definitions that published APIs name, by path, each with the project whose it is."""
    found: dict[str, int] = {}
    for entity in published.entities:
        path = definition_of(entity.body)
        if path is not None and entity.origins:
            found.setdefault(path, entity.origins[0].project_id)
    return found


def defined_by(path: str, body: bytes) -> str | None:
    """The text of a published definition; None when it is not the blob that it is named after."""
    if not is_named_after(path, body):
        return None
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return None


def with_published(catalog: Catalog, published: PublishedCatalog) -> Catalog:
    """A catalog, with the entities that lie at a destination and are not in it."""
    known: Mapping[Ref, CatalogEntity] = {entity.ref: entity for entity in catalog.entities}
    more = {e.ref: e for e in published.entities if e.ref not in known}
    if not more:
        return catalog
    found = sorted((*catalog.entities, *more.values()), key=lambda entity: str(entity.ref))
    return replace(catalog, entities=tuple(found))

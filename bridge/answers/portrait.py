"""All that is known of one entity, for a page about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bridge.answers.documents import documents_of
from bridge.answers.incident import Link, Owner, links_of, owner_of, ranked
from bridge.answers.knowledge import Knowledge, annotation, title_of
from bridge.model.entities import Ref
from bridge.model.scores import Score, tier_of

MOST: Final = 300  # entities under one relation; beyond that the list of entities searches
MOST_TEXT: Final = 30_000  # characters of an API's definition that a page shows

# No relation of its own: what an entity depends on that is a document about it.
DOCUMENTS: Final = "documents"
# What each relation says of the entity whose page it is, in the order of the page.
RELATIONS: Final = {
    "partOf": "Part of",
    "hasPart": "Holds",
    "ownerOf": "Owns",
    "providesApi": "Provides",
    "consumesApi": "Consumes",
    "apiProvidedBy": "Provided by",
    "apiConsumedBy": "Consumed by",
    "dependsOn": "Depends on",
    "dependencyOf": "Needed by",
    DOCUMENTS: "Documents",
    "hasMember": "Members",
    "memberOf": "Member of",
    "parentOf": "Teams below",
    "childOf": "Below",
}


@dataclass(frozen=True, slots=True)
class Related:
    """The other end of a relation; `known` is False when the catalog does not have it."""

    ref: str
    title: str
    kind: str
    owner: str = ""
    tier: int | None = None
    known: bool = True


@dataclass(frozen=True, slots=True)
class RelatedGroup:
    """All of one relation, by title; `total` counts those beyond `MOST`, too."""

    label: str
    items: tuple[Related, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Definition:
    """An API's definition as text; `cut` when it is longer than a page shows.

    `url` is that of its file; "" where it is a part of the entity.
    """

    type: str
    text: str
    cut: bool = False
    url: str = ""


@dataclass(frozen=True, slots=True)
class Portrait:
    """One entity. `facts` are (label, value) lines; addresses are "" where there is none."""

    ref: str
    kind: str
    title: str
    description: str
    tags: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    owner: Owner | None
    links: tuple[Link, ...]
    related: tuple[RelatedGroup, ...]
    definition: Definition | None
    view_url: str
    edit_url: str
    score: Score | None
    body: Mapping[str, Any]


def portrait(ref: str, known: Knowledge) -> Portrait | None:
    """What is known of an entity by its reference; None when the catalog does not have it."""
    entity = known.entity(ref.lower())
    if entity is None:
        return None
    metadata, spec = entity["metadata"], entity.get("spec") or {}
    return Portrait(
        ref=ref.lower(),
        kind=str(entity["kind"]),
        title=title_of(entity),
        description=str(metadata.get("description") or ""),
        tags=tuple(str(tag) for tag in metadata.get("tags") or ()),
        facts=tuple(_facts(entity, spec)),
        owner=None if entity["kind"] in ("Group", "User") else owner_of(entity, known),
        links=tuple(ranked(links_of(entity))),
        related=tuple(_related(entity, known)),
        definition=_definition(entity, spec),
        view_url=_http(annotation(entity, "backstage.io/view-url")),
        edit_url=_http(annotation(entity, "backstage.io/edit-url")),
        score=known.scores.get(Ref.parse(ref)),
        body=entity,
    )


def _http(url: str) -> str:
    return url if url.lower().startswith(("https://", "http://")) else ""


def _facts(entity: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    tier = tier_of(entity)
    if tier is not None:
        yield "Tier", str(tier)
    for key, label in (("type", "Type"), ("lifecycle", "Lifecycle")):
        if spec.get(key):
            yield label, str(spec[key])
    named = (
        ("fester.dev/owner-channel", "Channel"),
        ("fester.dev/product", "Product"),
        ("fester.dev/aliases", "Also called"),
        ("gitlab.com/project-slug", "GitLab project"),
        ("fester.dev/gitlab-group", "GitLab group"),
    )
    for key, label in named:
        value = annotation(entity, key)
        if value:
            yield label, value


def _related(entity: Mapping[str, Any], known: Knowledge) -> Iterator[RelatedGroup]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for relation in entity.get("relations") or ():
        found[str(relation["type"])].append(str(relation["targetRef"]))
    documents = {document.ref for document in documents_of(entity, known)}
    found[DOCUMENTS] = sorted(documents)
    found["dependsOn"] = [each for each in found["dependsOn"] if each not in documents]
    for kind, label in RELATIONS.items():
        refs = found.get(kind)
        if refs:
            items = sorted((_end(ref, known) for ref in refs[:MOST]), key=_by_tier)
            yield RelatedGroup(label, tuple(items), len(refs))


def _by_tier(each: Related) -> tuple[int, str]:
    return each.tier or 9, each.title.lower()


def _end(ref: str, known: Knowledge) -> Related:
    entity = known.entity(ref)
    if entity is None:
        return Related(
            ref, ref.removeprefix("component:default/"), ref.partition(":")[0], known=False
        )
    owner = str((entity.get("spec") or {}).get("owner") or "")
    return Related(ref, title_of(entity), str(entity["kind"]), owner, tier_of(entity))


def _definition(entity: Mapping[str, Any], spec: Mapping[str, Any]) -> Definition | None:
    text = spec.get("definition")
    if entity["kind"] != "API" or not isinstance(text, str):
        return None
    return definition(str(spec.get("type") or ""), text)


def definition(kind: str, text: str, url: str = "") -> Definition:
    """As much of a definition as a page shows."""
    return Definition(kind, text[:MOST_TEXT], len(text) > MOST_TEXT, url)

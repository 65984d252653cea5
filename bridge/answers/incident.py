"""The answer in an incident: whose it is, who is on call, what to read, who is hit.

Everything is taken from what is known; nobody is asked. Each datum says where it comes from and
when it was seen, so that an old one is not taken for a fresh one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from bridge.answers.around import HOPS, ITSELF, Involvement, around
from bridge.answers.dependencies import NEEDED_BY, NEEDS, PART_HOPS, PARTS, Walk, walk
from bridge.answers.documents import URGENT, documents_of, is_document
from bridge.answers.identify import Identified, Match, identify
from bridge.answers.knowledge import Knowledge, annotation, ref_of, title_of
from bridge.answers.lately import LATELY
from bridge.language import links
from bridge.language.links import LinkKind
from bridge.model.entities import Json, Ref
from bridge.model.entity_changes import EntityChange
from bridge.model.facts import Fact, Standing
from bridge.model.scores import tier_of

# In the order in which a person wants them.
READ_FIRST: Final = (
    LinkKind.RUNBOOK,
    LinkKind.DASHBOARD,
    LinkKind.LOGS,
    LinkKind.ALERTS,
    LinkKind.ON_CALL,
)
MOST_NEARBY: Final = 100
_CHANNEL: Final = "fester.dev/owner-channel"


@dataclass(frozen=True, slots=True)
class Datum:
    """One thing that is known. `seen_at` is None where it was published without a moment.

    `value` None means that it is not known, and `reason` then says why.
    """

    value: Json
    source: str
    seen_at: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """Something to read."""

    kind: LinkKind
    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Owner:
    """Who owns it and how to reach them; `known` is False when the catalog has no such team."""

    ref: str
    title: str
    channel: str = ""
    email: str = ""
    links: tuple[Link, ...] = ()
    known: bool = True


@dataclass(frozen=True, slots=True)
class Nearby:
    """What changed, and how it stands to what the incident is about."""

    change: EntityChange
    role: Involvement


@dataclass(frozen=True, slots=True)
class ChangedLately:
    """What changed since a moment of what the incident is about and of what lies near it.

    Newest first; `cut` when more changed in the whole catalog than is at hand, `beyond` when more
    lies near than was followed. `missed` when the store did not tell since `read_at` (None: ever).
    """

    since: datetime
    nearby: tuple[Nearby, ...]
    cut: bool = False
    beyond: bool = False
    missed: bool = False
    read_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Incident:
    """Everything about one entity that helps in an incident.

    `needs` and `needed_by` are walks along its dependencies. `data` are facts by a name that
    people read, in the order to show them; `gates_failed` are titles of checks.
    """

    match: Match
    description: str
    lifecycle: str
    system: str
    tier: int | None
    owner: Owner | None
    links: tuple[Link, ...]
    needs: Walk
    needed_by: Walk
    parts: Walk  # what a system, domain or team holds
    data: Mapping[str, Datum] = field(default_factory=dict)
    gates_failed: tuple[str, ...] = ()
    changed: ChangedLately | None = None  # None where no history is at hand


@dataclass(frozen=True, slots=True)
class IncidentAnswer:
    """The answer: one incident, or several matches to choose from, or names that are near."""

    asked: str
    at: datetime
    read_at: datetime | None
    complete_at: datetime | None
    found: Identified
    incident: Incident | None = None


def answer(asked: str, known: Knowledge, now: datetime) -> IncidentAnswer:
    """What is known about what was asked for. Never raises for what was asked."""
    found = identify(asked, known)
    incident = None
    if found.total == 1:
        entity = known.entity(found.matches[0].ref)
        incident = _incident(found.matches[0], entity, known, now) if entity is not None else None
    return IncidentAnswer(
        asked.strip()[:200], now, known.read_at, known.complete_at, found, incident
    )


def _incident(match: Match, entity: Mapping[str, Any], known: Knowledge, now: datetime) -> Incident:
    spec = entity.get("spec") or {}
    ref = Ref.parse(match.ref)
    score = known.scores.get(ref)
    return Incident(
        match,
        description=str(entity["metadata"].get("description") or ""),
        lifecycle=str(spec.get("lifecycle") or ""),
        system=_target(entity, "partOf"),
        tier=tier_of(entity),
        owner=owner_of(entity, known),
        links=tuple(ranked(_links(entity, known))),
        needs=walk([entity], known, NEEDS, without=is_document),
        needed_by=walk([entity], known, NEEDED_BY),
        parts=walk([entity], known, PARTS, hops=PART_HOPS),
        data=_data(ref, known),
        gates_failed=tuple(
            known.check_titles.get(gate, gate) for gate in (score.gates_failed if score else ())
        ),
        changed=_changed(entity, known, now),
    )


def _changed(entity: Mapping[str, Any], known: Knowledge, now: datetime) -> ChangedLately | None:
    if known.lately is None:
        return None
    since = now - LATELY
    roles, beyond = around([entity], known, HOPS) if known.lately.by_ref else ({}, False)
    found = [Nearby(each, roles[str(each.ref)]) for each in known.lately.of(roles, since)]
    # What changed itself comes before its neighbours of the same pass.
    found.sort(key=lambda each: (each.change.at, each.role == ITSELF), reverse=True)
    lately = known.lately
    return ChangedLately(
        since, tuple(found[:MOST_NEARBY]), lately.cut, beyond, lately.missed, lately.read_at
    )


def _target(entity: Mapping[str, Any], relation: str) -> str:
    found = (r["targetRef"] for r in entity.get("relations") or () if r["type"] == relation)
    return str(next(found, ""))


def owner_of(entity: Mapping[str, Any], known: Knowledge) -> Owner | None:
    """The owner of an entity as it is read; a team is its own, so that one may ask for it, too."""
    of_its_own = entity["kind"] in ("Group", "User")
    ref = ref_of(entity) if of_its_own else _target(entity, "ownedBy")
    if not ref:
        return None
    team = known.entity(ref)
    if team is None:
        channel = annotation(entity, _CHANNEL)
        return Owner(ref, Ref.parse(ref).name, channel, known=False)
    profile = (team.get("spec") or {}).get("profile") or {}
    channel = annotation(entity, _CHANNEL) or annotation(team, _CHANNEL)
    return Owner(
        ref,
        str(profile.get("displayName") or title_of(team)),
        channel,
        str(profile.get("email") or ""),
        tuple(links_of(team)),
    )


def links_of(entity: Mapping[str, Any]) -> Iterator[Link]:
    """The links of an entity as it is read."""
    for link in entity["metadata"].get("links") or ():
        url = str(link.get("url", ""))
        yield Link(links.kind_of(link), str(link.get("title") or url), url)


def _links(entity: Mapping[str, Any], known: Knowledge) -> Iterator[Link]:
    """An entity's links, and documents about it that are entities of their own."""
    own = list(links_of(entity))
    yield from own
    told = {link.url for link in own}
    for document in documents_of(entity, known):
        if document.url and document.url not in told:
            told.add(document.url)
            kind = LinkKind.RUNBOOK if document.kind in URGENT else LinkKind.DOCS
            yield Link(kind, document.title, document.url)


def ranked(found: Iterator[Link]) -> Sequence[Link]:
    """What to read first comes first."""
    rank = {kind: at for at, kind in enumerate(READ_FIRST)}
    return sorted(found, key=lambda link: rank.get(link.kind, len(rank)))


# What a responder asks, and the facts that answer it: (name, retriever, fact).
_FACTS: Final = (
    ("on_call", "pagerduty", "on_call"),
    ("on_call", "opsgenie", "on_call"),
    ("on_call", "jsm", "on_call"),
    ("last_release", "gitlab", "last_release"),
    ("last_release_at", "gitlab", "last_release_at"),
    ("pipeline", "gitlab", "pipeline_status"),
    ("last_activity_at", "gitlab", "last_activity_at"),
    ("open_vulnerabilities", "snyk", "issues_by_severity"),
)


def _data(ref: Ref, known: Knowledge) -> Mapping[str, Datum]:
    """By name; of several tools that answer the same, the one that says most."""
    found: dict[str, Datum] = {}
    for name, datum in _each_datum(ref, known):
        if name not in found or _says(datum) > _says(found[name]):
            found[name] = datum
    return found


def _says(datum: Datum) -> int:
    """Something is more than nobody, and that is more than what could not be read."""
    return 2 if datum.value else 1 if datum.value is not None else 0


def _each_datum(ref: Ref, known: Knowledge) -> Iterator[tuple[str, Datum]]:
    readings = known.facts.get(ref, {})
    for name, retriever, fact_name in _FACTS:
        reading = readings.get(retriever)
        for fact in reading.facts if reading is not None else ():
            if fact.name == fact_name:
                yield name, _datum(fact)


def _datum(fact: Fact) -> Datum:
    known = fact.standing is Standing.KNOWN
    return Datum(fact.value if known else None, fact.source, fact.seen_at, fact.reason)

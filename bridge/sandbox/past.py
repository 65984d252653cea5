"""Ninety days that never were: how the sample organization might have come to what it is now.

Nothing here was seen. It is drawn by dice whose numbers are always the same, and ends in what is.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from bridge.model.census import Census
from bridge.model.entities import Body, CatalogEntity, Ref
from bridge.model.entity_changes import ChangedManifest, ChangeKind, EntityChange, FieldChange
from bridge.model.facts import Fact, Reading

DAYS: Final = 90
STEP: Final = 6  # days between two boards
_GHOSTS: Final = 2  # problems that were mended meanwhile, for each one that there is
_GONE: Final = ("paper-tickets", "fax-bridge", "tide-clock")

Latest = Mapping[Ref, Mapping[str, Reading]]


def earlier_facts(latest: Latest, now: datetime) -> Iterator[tuple[datetime, Latest]]:
    """What would have been known on earlier days, oldest first.

    What is so now came to be so bit by bit; some of what is not so was so for a while.
    """
    for days in range(DAYS, 0, -STEP):
        at = now - timedelta(days=days)
        yield (
            at,
            {
                ref: {name: _as_of(reading, at, days) for name, reading in readings.items()}
                for ref, readings in latest.items()
            },
        )


def _as_of(reading: Reading, at: datetime, days: int) -> Reading:
    facts = tuple(_fact_as_of(reading.entity, fact, at, days) for fact in reading.facts)
    return replace(reading, seen_at=at, facts=facts)


def _fact_as_of(ref: Ref, fact: Fact, at: datetime, days: int) -> Fact:
    value = fact.value
    if isinstance(value, bool):
        dice = random.Random(f"{ref} {fact.name}")  # noqa: S311 — no secret
        since = dice.randrange(1, (3 if value else 12) * DAYS)  # days before now
        value = days <= since if value else since - 20 < days <= since
    return replace(fact, value=value, seen_at=at)


@dataclass(frozen=True, slots=True)
class _Case:
    """A problem that there was from one day to another, counted in days before now."""

    rule: str
    team: str
    severity: str
    since: int
    until: int


def earlier_censuses(today: Census) -> list[Census]:
    """A census for each day before today's, oldest first: there was more to mend."""
    cases = list(_cases(today))
    return [_census(today, cases, days) for days in range(DAYS, 0, -1)]


def _cases(today: Census) -> Iterator[_Case]:
    dice = random.Random(41)  # noqa: S311 — no secret
    for severity in today.problems:
        rules = _each(today.by_rule, severity)
        teams = _each(today.by_team, severity)
        for rule, team in zip(rules, teams, strict=False):
            yield _Case(rule, team, severity, dice.randrange(DAYS // 3, 2 * DAYS), 0)
            for _ in range(_GHOSTS):
                until = dice.randrange(2, DAYS)
                yield _Case(rule, team, severity, until + dice.randrange(10, DAYS), until)


def _each(counts: Mapping[str, Mapping[str, int]], severity: str) -> list[str]:
    return [name for name, found in counts.items() for _ in range(found.get(severity, 0))]


def _census(today: Census, cases: Iterable[_Case], days: int) -> Census:
    there = [case for case in cases if case.until < days <= case.since]
    return replace(
        today,
        at=today.at - timedelta(days=days),
        problems=dict(Counter(case.severity for case in there)),
        by_rule=_by((case.rule, case.severity) for case in there),
        by_team=_by((case.team, case.severity) for case in there),
    )


def _by(pairs: Iterable[tuple[str, str]]) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {}
    for name, severity in pairs:
        found.setdefault(name, Counter())[severity] += 1
    return {name: dict(counts) for name, counts in found.items()}


def earlier_changes(entities: Sequence[CatalogEntity], now: datetime) -> list[EntityChange]:
    """What might have become of the services, oldest first; it ends in what they are now."""
    dice = random.Random(43)  # noqa: S311 — no secret
    services = [each for each in entities if each.ref.kind == "component" and each.origins]
    groups = sorted(str(each.ref) for each in entities if each.ref.kind == "group")
    found = [_change(each, groups, dice, now) for each in services for _ in range(2)]
    found += [_gone(name, groups, dice, now) for name in _GONE]
    return sorted(found, key=lambda each: each.at)


def _when(dice: random.Random, now: datetime) -> datetime:
    return now - timedelta(minutes=dice.randrange(60, DAYS * 24 * 60))


def _change(
    entity: CatalogEntity, groups: Sequence[str], dice: random.Random, now: datetime
) -> EntityChange:
    body, spec = entity.body, entity.body.get("spec") or {}
    owner, other = str(spec.get("owner") or ""), dice.choice(groups or [""])
    field = dice.choice(list(_fields(entity.body, other)))
    origin = entity.origins[0]
    return EntityChange(
        entity.ref,
        ChangeKind.CHANGED,
        _when(dice, now),
        str(body["metadata"].get("title") or body["metadata"]["name"]),
        owner,
        other if field.path == "spec.owner" else owner,
        (ChangedManifest(origin.project, origin.file, origin.oid),),
        (field,),
    )


def _fields(body: Body, other: str) -> Iterator[FieldChange]:
    """What may have changed of a service, to what it is now."""
    spec, said = body.get("spec") or {}, body["metadata"].get("description")
    yield FieldChange("spec.lifecycle", "experimental", str(spec.get("lifecycle") or "production"))
    if said:
        yield FieldChange("metadata.description", "To be described", str(said))
    if spec.get("owner"):
        yield FieldChange("spec.owner", other, str(spec["owner"]))
    if spec.get("dependsOn"):
        yield FieldChange("spec.dependsOn", None, ", ".join(spec["dependsOn"]))


def _gone(name: str, groups: Sequence[str], dice: random.Random, now: datetime) -> EntityChange:
    owner = dice.choice(groups or [""])
    ref = Ref("component", "default", name)
    manifest = ChangedManifest(f"kestrel/attic/{name}", "qm.yaml", "0" * 40)
    return EntityChange(ref, ChangeKind.REMOVED, _when(dice, now), name, owner, owner, (manifest,))

"""Checks, results and scores: what Ox concludes from facts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Final

from bridge.model.entities import Body, Json, Ref
from bridge.model.problems import Problem

TIERS: Final = (1, 2, 3, 4)  # 1 is the most critical
TIER: Final = "fester.dev/tier"  # the label that holds one
_TIER: Final = re.compile(r"tier_([1-4])")
SERVICE: Final = "component"  # the kind that is a service: roll-ups are of these alone
ORGANIZATION: Final = "all"  # the name of the one roll-up of everything


class RollupKind(StrEnum):
    """What services are rolled up by."""

    TEAM = "team"
    SYSTEM = "system"
    DOMAIN = "domain"
    PRODUCT = "product"
    ORGANIZATION = "organization"


def tier_of(body: Body) -> int | None:
    """The tier that an entity names; None when it names none."""
    labels = body["metadata"].get("labels") or {}
    return tier_in(str(labels.get(TIER)))


def tier_in(label: str) -> int | None:
    """The tier that the label `TIER` names; None when it names none."""
    found = _TIER.fullmatch(label)
    return int(found[1]) if found else None


class CheckState(StrEnum):
    """How one check stands for one entity."""

    PASS = "pass"  # noqa: S105 — a verdict, not a password
    WARN = "warn"  # scores as a pass
    FAIL = "fail"
    UNKNOWN = "unknown"  # a fact could not be read
    STALE = "stale"  # a fact is older than twice its cadence
    NOT_APPLICABLE = "not_applicable"  # another tier, kind, or a feature that is not there
    WAIVED = "waived"  # somebody gave a reason and an expiry

    @property
    def known(self) -> bool:
        """Whether it counts in the score."""
        return self in (CheckState.PASS, CheckState.WARN, CheckState.FAIL)

    @property
    def passed(self) -> bool:
        """Whether it scores as a pass."""
        return self in (CheckState.PASS, CheckState.WARN)


class EvidenceStanding(StrEnum):
    """How far a fact could be relied on when it was judged."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    STALE = "stale"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One fact that a result rests on."""

    fact: str  # "retriever.name"
    value: Json
    seen_at: datetime | None
    source: str
    standing: EvidenceStanding = EvidenceStanding.KNOWN
    reason: str = ""


class WaiverPlace(StrEnum):
    """Where a waiver was given."""

    RUBRIC = "rubric"
    MANIFEST = "manifest"
    ISSUE = "issue"  # by a label


@dataclass(frozen=True, slots=True)
class Waiver:
    """Why a check does not count for an entity, until when (the last day it holds)."""

    check: str
    reason: str
    expires: date
    by: WaiverPlace
    entity: str = ""  # in the rubric: a reference or a glob of references
    person: str = ""  # who gave it: a label's giver, where GitLab tells, or whom `by:` names


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the rubric.

    `tiers` are those it applies to, `gate_tiers` those where it must pass whatever the score
    (1 most critical … 4). `expression` is the pass condition as it stands in the file;
    `facts` are the "retriever.name" that it reads. `how_to_fix` is a sentence, `links` say more.
    """

    id: str
    title: str
    category: str
    weight: float
    tiers: frozenset[int]
    expression: str
    facts: tuple[str, ...]
    warning: str = ""  # when the expression is false and this is true: a warning, not a failure
    description: str = ""
    gate_tiers: frozenset[int] = frozenset()
    kinds: tuple[str, ...] = ("component",)
    how_to_fix: str = ""
    links: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Level:
    """A name for scores from `minimum` on."""

    name: str
    minimum: float


@dataclass(frozen=True, slots=True)
class Rubric:
    """What is expected of services. `version` is the digest of its text.

    `targets` by tier; `levels` best first, the last from 0. A service that names no tier is
    measured as one of `untiered`. `source` is the file, for people.
    """

    version: str
    title: str
    checks: tuple[Check, ...]
    categories: Mapping[str, str]  # key → title, in order
    targets: Mapping[int, float]
    levels: tuple[Level, ...]
    minimum_coverage: float = 0.7
    untiered: int = 3
    waivers: tuple[Waiver, ...] = ()
    source: str = ""

    def check(self, name: str) -> Check | None:
        """The check of that id."""
        return next((check for check in self.checks if check.id == name), None)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """How one check stands for one entity, and on what that rests."""

    entity: Ref
    check: str
    state: CheckState
    weight: float
    gate: bool = False  # whether it is a gate for this entity's tier
    reason: str = ""  # for a person: why unknown, waived, failed
    evidence: tuple[Evidence, ...] = ()
    waiver: Waiver | None = None


@dataclass(frozen=True, slots=True)
class Fix:
    """A failed check, and how many points of the score its passing would bring."""

    result: CheckResult
    points: float


@dataclass(frozen=True, slots=True)
class Score:
    """An entity's score. `value` is 0-100, None when nothing applicable is known.

    `coverage` (0-1) is the share of the applicable weight that is known; below the rubric's
    minimum the score is not shown as a number (`sufficient` is False). `level` is the rubric's
    name for it. `target` is what the tier should reach.
    """

    entity: Ref
    value: float | None
    coverage: float
    sufficient: bool
    level: str
    tier: int | None
    target: float | None
    gates_failed: tuple[str, ...]
    results: tuple[CheckResult, ...]
    rubric: str  # the rubric's version: the digest of its text
    at: datetime

    @property
    def on_target(self) -> bool | None:
        """Whether the target is reached and every gate passed; None when that is not known."""
        if not self.sufficient or self.value is None or self.target is None:
            return None
        return self.value >= self.target and not self.gates_failed

    @property
    def unseen(self) -> tuple[CheckResult, ...]:
        """What should be known and is not, what weighs most first; gates before all else."""
        found = [r for r in self.results if r.state in (CheckState.UNKNOWN, CheckState.STALE)]
        return tuple(sorted(found, key=lambda each: (not each.gate, -each.weight, each.check)))

    @property
    def gates_unseen(self) -> tuple[str, ...]:
        """The gates of which nobody knows whether they pass."""
        return tuple(result.check for result in self.unseen if result.gate)

    def fixes(self) -> tuple[Fix, ...]:
        """What to fix next: failed gates first, then what brings the most points."""
        known = sum(result.weight for result in self.results if result.state.known)
        failed = [result for result in self.results if result.state is CheckState.FAIL]
        failed.sort(key=lambda result: (not result.gate, -result.weight, result.check))
        return tuple(Fix(result, 100 * result.weight / known) for result in failed)


@dataclass(frozen=True, slots=True)
class ScoreDay:
    """An entity's score as it stood at the end of a day: what history keeps.

    `states` are those of every check of the rubric. `gone`: the entity had left by then.
    """

    day: date
    value: float | None
    coverage: float
    sufficient: bool
    level: str
    tier: int | None
    target: float | None
    rubric: str
    states: Mapping[str, CheckState] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    gone: bool = False


@dataclass(frozen=True, slots=True)
class CheckChange:
    """What one check did to a score between two days.

    `points` is how much its share of the score grew; the shares of all checks add up to it.
    """

    check: str
    before: CheckState | None  # None: the rubric did not have it
    after: CheckState | None
    points: float


@dataclass(frozen=True, slots=True)
class ScoreChange:
    """What changed a score between two days.

    `others` are the points of checks that kept their state but weigh differently beside those
    that changed.
    """

    entity: Ref
    before: ScoreDay | None
    after: ScoreDay | None
    checks: tuple[CheckChange, ...] = ()
    others: float = 0.0


@dataclass(frozen=True, slots=True)
class Rollup:
    """The plain mean over the services of a team, system, domain or product.

    `services` counts all, `unknown` those without a sufficient score: they are not in `value`.
    `below_target` counts scored services under their target.
    """

    kind: RollupKind
    name: str  # an entity's reference, a product's name, or ORGANIZATION
    value: float | None
    coverage: float
    services: int
    unknown: int
    below_target: int
    levels: Mapping[str, int] = field(default_factory=dict)
    members: tuple[Ref, ...] = ()  # the services; history does not keep them


@dataclass(frozen=True, slots=True)
class RollupDay:
    """A roll-up as it stood at the end of a day. `gone`: it had no services any more."""

    day: date
    rollup: Rollup
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Scoreboard:
    """All scores of one evaluation, by reference; and the roll-ups. What the API serves."""

    at: datetime
    rubric: str
    scores: Mapping[Ref, Score] = field(default_factory=dict)
    rollups: tuple[Rollup, ...] = ()
    problems: tuple[Problem, ...] = ()  # waivers that do not hold

    @property
    def services(self) -> Mapping[Ref, Score]:
        """The scores of components; those of APIs, groups and others are theirs alone."""
        return {ref: score for ref, score in self.scores.items() if ref.kind == SERVICE}

    @property
    def teams(self) -> Mapping[Ref, str]:
        """The team of each service that has one, by name."""
        teams = (each for each in self.rollups if each.kind is RollupKind.TEAM)
        return {ref: each.name for each in teams for ref in each.members}

    def rollup(self, kind: RollupKind, name: str) -> Rollup | None:
        """The roll-up of that kind and name: all of it, or as people say it, in whatever case.

        `group:default/red`, `default/red` and `red` are one team. The whole name counts first; a
        part of the name that two go by is nobody's.
        """
        found = [rollup for rollup in self.rollups if rollup.kind == kind]
        for rollup in found:
            if rollup.name == name:
                return rollup
        said = name.strip().lower()
        near = [rollup for rollup in found if said in _said(rollup.name.lower())]
        return near[0] if len(near) == 1 else None


def _said(name: str) -> tuple[str, ...]:
    """What people may say for a name: all of it, without its kind, without its namespace."""
    rest = name.partition(":")[2] or name
    return name, rest, rest.rpartition("/")[2]

"""Checks, results and scores: what Ox concludes from facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from bridge.model.entities import Json, Ref


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


@dataclass(frozen=True, slots=True)
class Evidence:
    """One fact that a result rests on."""

    fact: str  # "retriever.name"
    value: Json
    seen_at: datetime | None
    source: str
    standing: str = "known"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Waiver:
    """Why a check does not count for an entity, until when (the last day it holds)."""

    check: str
    reason: str
    expires: date
    by: str = ""  # "rubric", "manifest" or "issue": where it was given


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
    description: str = ""
    gate_tiers: frozenset[int] = frozenset()
    kinds: tuple[str, ...] = ("component",)
    how_to_fix: str = ""
    links: tuple[Mapping[str, str], ...] = ()


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


@dataclass(frozen=True, slots=True)
class Rollup:
    """The plain mean over the services of a team, system, domain or product.

    `services` counts all, `unknown` those without a sufficient score: they are not in `value`.
    `below_target` counts scored services under their target.
    """

    kind: str  # "team", "system", "domain" or "product"
    name: str  # an entity's reference, or a product's name
    value: float | None
    coverage: float
    services: int
    unknown: int
    below_target: int
    levels: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scoreboard:
    """All scores of one evaluation, by reference; and the roll-ups. What the API serves."""

    at: datetime
    rubric: str
    scores: Mapping[Ref, Score] = field(default_factory=dict)
    rollups: tuple[Rollup, ...] = ()

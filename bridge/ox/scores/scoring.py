"""How a check stands for one entity, and what its checks make of its score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from bridge.language.filters import EvaluationError
from bridge.language.unknown_values import KnownValues, UnknownValue
from bridge.model.entities import Json, Ref
from bridge.model.facts import Fact, Reading, Standing
from bridge.model.scores import (
    Check,
    CheckResult,
    CheckState,
    Evidence,
    EvidenceStanding,
    Rubric,
    Score,
    Waiver,
    WaiverPlace,
)
from bridge.ox.scores.rubric import Condition

STALE_AFTER: Final = 2  # cadences
_LONGEST: Final = timedelta(days=3_650)

# Which state an undecided check takes, by what was not seen; the first that occurs.
_ORDER: Final = (CheckState.UNKNOWN, CheckState.STALE, CheckState.NOT_APPLICABLE)
_STANDINGS: Final = {
    Standing.UNKNOWN: CheckState.UNKNOWN,
    Standing.NOT_APPLICABLE: CheckState.NOT_APPLICABLE,
}


@dataclass(frozen=True, slots=True)
class CheckContext:
    """What is known of one entity at one moment, and the tier that it is measured as.

    `env` is what expressions read: a map of facts by retriever, without those that were not
    seen. `evidence` holds every fact that there is; `unseen` says how one is not seen.
    """

    entity: Ref
    tier: int
    env: dict[str, Json]
    evidence: Mapping[str, Evidence]
    unseen: Mapping[str, CheckState]


def sight(
    entity: Ref,
    tier: int,
    readings: Mapping[str, Reading],
    cadences: Mapping[str, float],
    now: datetime,
) -> CheckContext:
    """What the latest readings (by retriever) show at `now`; `cadences` are of all retrievers."""
    env: dict[str, Json] = {}
    evidence: dict[str, Evidence] = {}
    unseen: dict[str, CheckState] = {}
    for retriever, cadence in cadences.items():
        known: dict[str, Json] = {}
        reading = readings.get(retriever)
        allowed = timedelta(seconds=STALE_AFTER * cadence)
        for fact in reading.facts if reading else ():
            name = f"{retriever}.{fact.name}"
            state = _standing(fact, allowed, now)
            evidence[name] = _evidence(name, fact, state)
            if state is None:
                known[fact.name] = fact.value
            else:
                unseen[name] = state
        env[retriever] = KnownValues(retriever, known)
    return CheckContext(entity, tier, env, evidence, unseen)


def fresh_until(
    readings: Mapping[str, Reading], cadences: Mapping[str, float], now: datetime
) -> datetime:
    """Until when no known fact that is fresh at `now` becomes stale."""
    ends = [now + _LONGEST]
    for retriever, reading in readings.items():
        if retriever not in cadences:
            continue
        allowed = min(timedelta(seconds=STALE_AFTER * cadences[retriever]), _LONGEST)
        for fact in reading.facts:
            if _standing(fact, allowed, now) is None:
                ends.append(fact.seen_at + allowed)
    return min(ends)


def _standing(fact: Fact, allowed: timedelta, now: datetime) -> CheckState | None:
    """How a fact is not seen; None when it is known and fresh."""
    if fact.standing is not Standing.KNOWN:
        return _STANDINGS[fact.standing]
    return CheckState.STALE if now - fact.seen_at > allowed else None


def _evidence(name: str, fact: Fact, state: CheckState | None) -> Evidence:
    reason = fact.reason
    if state is CheckState.STALE:
        reason = "last seen too long ago"
    standing = EvidenceStanding(state or fact.standing)
    return Evidence(name, fact.value, fact.seen_at, fact.source, standing, reason)


def judge(
    condition: Condition, check: Check, seen: CheckContext, waiver: Waiver | None
) -> CheckResult:
    """How one check stands for one entity."""
    entity, tier = seen.entity, seen.tier
    gate = tier in check.gate_tiers
    evidence: tuple[Evidence, ...] = ()
    if tier not in check.tiers:
        state, reason = CheckState.NOT_APPLICABLE, f"not asked of tier {tier}"
    else:
        evidence = tuple(seen.evidence[name] for name in check.facts if name in seen.evidence)
        state, reason = _state(condition, seen)
        # A label excuses what fails; that it passes meanwhile is good to know, and ends the issue.
        if waiver is not None and not (waiver.by is WaiverPlace.ISSUE and state.passed):
            until = f"waived until {waiver.expires.isoformat()}: {waiver.reason}"
            state, reason = CheckState.WAIVED, until
    if state is CheckState.FAIL:
        reason = check.how_to_fix
    waived = waiver if state is CheckState.WAIVED else None
    return CheckResult(entity, check.id, state, check.weight, gate, reason, evidence, waived)


def _state(condition: Condition, seen: CheckContext) -> tuple[CheckState, str]:
    try:
        if condition.passes(seen.env):
            return CheckState.PASS, ""
        if condition.warns is not None and condition.warns(seen.env):
            return CheckState.WARN, "a warning; it scores as a pass"
    except UnknownValue as unseen:
        return _undecided(unseen, seen)
    except EvaluationError as error:
        return CheckState.UNKNOWN, f"cannot be worked out: {error}"
    return CheckState.FAIL, ""


def _undecided(unseen: UnknownValue, seen: CheckContext) -> tuple[CheckState, str]:
    states = {key: seen.unseen.get(key, CheckState.UNKNOWN) for key in unseen.keys}
    state = next(each for each in _ORDER if each in states.values())
    said = []
    for key in sorted(key for key, each in states.items() if each is state):
        evidence = seen.evidence.get(key)
        source = key.partition(".")[0]
        missing = f"nobody has looked yet; is `{source}` set up?"
        why = (evidence.reason or evidence.standing.value) if evidence else missing
        said.append(f"{key}: {why}")
    return state, "; ".join(said)


def scored(
    rubric: Rubric, entity: Ref, tier: int | None, results: Sequence[CheckResult], at: datetime
) -> Score:
    """An entity's score from its results: 100 · Σw(pass) / Σw(pass + fail)."""
    known = sum(result.weight for result in results if result.state.known)
    passed = sum(result.weight for result in results if result.state.passed)
    applicable = sum(result.weight for result in results if counts(result))
    coverage = known / applicable if applicable else 0.0
    value = 100 * passed / known if known else None
    sufficient = value is not None and coverage >= rubric.minimum_coverage
    failed = tuple(r.check for r in results if r.gate and r.state is CheckState.FAIL)
    return Score(
        entity=entity,
        value=value,
        coverage=coverage,
        sufficient=sufficient,
        level=_level(rubric, value, failed) if sufficient and value is not None else "",
        tier=tier,
        target=rubric.targets[tier or rubric.untiered],
        gates_failed=failed,
        results=tuple(results),
        rubric=rubric.version,
        at=at,
    )


def counts(result: CheckResult) -> bool:
    """Whether a result is part of what should be known: neither waived nor not applicable."""
    return result.state not in (CheckState.WAIVED, CheckState.NOT_APPLICABLE)


def _level(rubric: Rubric, value: float, gates_failed: Sequence[str]) -> str:
    if gates_failed:
        return rubric.levels[-1].name
    return next(level.name for level in rubric.levels if value >= level.minimum)

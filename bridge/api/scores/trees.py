"""Scores as JSON trees, for the API and for `fester score --json`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from bridge.model.entities import Json
from bridge.model.runs import problem_json
from bridge.model.scores import (
    Check,
    CheckResult,
    Evidence,
    Rollup,
    RollupDay,
    Rubric,
    Score,
    Scoreboard,
    ScoreChange,
    ScoreDay,
)


def rounded(value: float | None, digits: int = 1) -> float | None:
    """A number as people read it; None stays None."""
    return None if value is None else round(value, digits)


def summary_json(score: Score) -> dict[str, Json]:
    """A score without its checks. `score` is null when too little is known for one."""
    return {
        "entityRef": str(score.entity),
        "score": rounded(score.value) if score.sufficient else None,
        "level": score.level or None,
        "coverage": rounded(score.coverage, 3),
        "sufficient": score.sufficient,
        "tier": score.tier,
        "target": score.target,
        "onTarget": score.on_target,
        "gatesFailed": list(score.gates_failed),
    }


def score_json(score: Score, rubric: Rubric) -> dict[str, Json]:
    """A score with every check, and what to fix next."""
    return {
        **summary_json(score),
        "rubric": score.rubric,
        "at": score.at.isoformat(),
        "fixes": [
            {
                "check": fix.result.check,
                "points": rounded(fix.points),
                "gate": fix.result.gate,
                "howToFix": fix.result.reason,
            }
            for fix in score.fixes()
        ],
        "checks": [result_json(result, rubric.check(result.check)) for result in score.results],
    }


def result_json(result: CheckResult, check: Check | None) -> dict[str, Json]:
    """How one check stands; `check` is None when the rubric has it no more."""
    tree: dict[str, Json] = {
        "check": result.check,
        "title": check.title if check else result.check,
        "category": check.category if check else None,
        "state": result.state.value,
        "weight": result.weight,
        "gate": result.gate,
        "reason": result.reason,
        "evidence": [_evidence_json(each) for each in result.evidence],
    }
    if result.waiver is not None:
        tree["waiver"] = {
            "reason": result.waiver.reason,
            "expires": result.waiver.expires.isoformat(),
            "by": result.waiver.by.value,
            "person": result.waiver.person,
        }
    return tree


def _evidence_json(evidence: Evidence) -> dict[str, Json]:
    return {
        "fact": evidence.fact,
        "value": evidence.value,
        "seenAt": evidence.seen_at.isoformat() if evidence.seen_at else None,
        "source": evidence.source,
        "standing": evidence.standing.value,
        "reason": evidence.reason,
    }


def rollup_json(rollup: Rollup) -> dict[str, Json]:
    """A roll-up without its services."""
    return {
        "kind": rollup.kind,
        "name": rollup.name,
        "score": rounded(rollup.value),
        "coverage": rounded(rollup.coverage, 3),
        "services": rollup.services,
        "unknown": rollup.unknown,
        "belowTarget": rollup.below_target,
        "levels": dict(rollup.levels),
    }


def rubric_json(rubric: Rubric) -> dict[str, Json]:
    """The rubric in force."""
    return {
        "version": rubric.version,
        "title": rubric.title,
        "minimumCoverage": rubric.minimum_coverage,
        "untiered": rubric.untiered,
        "targets": {str(tier): target for tier, target in sorted(rubric.targets.items())},
        "levels": [{"name": each.name, "minimum": each.minimum} for each in rubric.levels],
        "categories": dict(rubric.categories),
        "checks": [_check_json(check) for check in rubric.checks],
        "waivers": [
            {
                "check": waiver.check,
                "entity": waiver.entity,
                "reason": waiver.reason,
                "expires": waiver.expires.isoformat(),
            }
            for waiver in rubric.waivers
        ],
    }


def _check_json(check: Check) -> dict[str, Json]:
    return {
        "id": check.id,
        "title": check.title,
        "description": check.description,
        "category": check.category,
        "weight": check.weight,
        "tiers": sorted(check.tiers),
        "gateTiers": sorted(check.gate_tiers),
        "kinds": list(check.kinds),
        "facts": list(check.facts),
        "pass": check.expression,
        "warn": check.warning or None,
        "howToFix": check.how_to_fix,
        "links": [dict(link) for link in check.links],
    }


def trend_json(days: Sequence[ScoreDay], start: date) -> list[Json]:
    """The days of change; each stands until the next. What stood at `start` is placed there."""
    return [
        {
            "day": max(each.day, start).isoformat(),
            "score": rounded(each.value) if each.sufficient else None,
            "coverage": rounded(each.coverage, 3),
            "level": each.level or None,
            "target": each.target,
            "rubric": each.rubric or None,
            "gone": each.gone,
        }
        for each in days
    ]


def rollup_trend_json(days: Sequence[RollupDay], start: date) -> list[Json]:
    """The same of a roll-up."""
    return [
        {
            "day": max(each.day, start).isoformat(),
            "score": None if each.gone else rounded(each.rollup.value),
            "coverage": rounded(each.rollup.coverage, 3),
            "services": 0 if each.gone else each.rollup.services,
            "unknown": 0 if each.gone else each.rollup.unknown,
            "belowTarget": 0 if each.gone else each.rollup.below_target,
            "gone": each.gone,
        }
        for each in days
    ]


def change_json(change: ScoreChange) -> dict[str, Json]:
    """What changed a score between two days."""
    before, after = change.before, change.after
    one, two = _value(before), _value(after)
    return {
        "entityRef": str(change.entity),
        "before": one,
        "after": two,
        "points": rounded(two - one) if one is not None and two is not None else None,
        "rubricBefore": before.rubric if before else None,
        "rubricAfter": after.rubric if after else None,
        "checks": [
            {
                "check": each.check,
                "before": each.before.value if each.before else None,
                "after": each.after.value if each.after else None,
                "points": rounded(each.points),
            }
            for each in change.checks
        ],
        "otherPoints": rounded(change.others),
    }


def _value(day: ScoreDay | None) -> float | None:
    return rounded(day.value) if day is not None and day.sufficient else None


def changed(changes: Iterable[ScoreChange]) -> list[ScoreChange]:
    """Those in which something changed, the largest changes first."""

    def size(change: ScoreChange) -> tuple[float, str]:
        one, two = _value(change.before) or 0.0, _value(change.after) or 0.0
        return -abs(two - one), str(change.entity)

    return sorted((each for each in changes if each.checks or each.others), key=size)


def board_json(board: Scoreboard) -> dict[str, Json]:
    """What stands beside every list of scores."""
    return {
        "at": board.at.isoformat(),
        "rubric": board.rubric,
        "problems": [problem_json(problem) for problem in board.problems[:200]],
    }

"""Counting fresh results, and the breaker. Pure.

The rules are those of "Remediation that people keep switched on": two fresh fails open, two fresh
passes close, unknown and stale never act; the first run's failures are a baseline; more than a
share of services flipping on one check pauses it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.model.entities import Ref
from bridge.model.remediation import Course, Pause, Streak
from bridge.model.scores import CheckResult, CheckState, EvidenceStanding, Scoreboard

Streaks = Mapping[Ref, Mapping[str, Streak]]

COURSES = {
    CheckState.PASS: Course.PASS,
    CheckState.WARN: Course.PASS,
    CheckState.FAIL: Course.FAIL,
    CheckState.NOT_APPLICABLE: Course.GONE,
}


@dataclass(frozen=True, slots=True)
class Breaker:
    """When a check is in doubt: more than `share` of its services flip, and `at_least` so many."""

    share: float = 0.1
    at_least: int = 5

    def trips(self, flipped: int, known: int) -> bool:
        """Whether `flipped` of `known` services are too many."""
        return flipped >= self.at_least and flipped > self.share * known


@dataclass(frozen=True, slots=True)
class Observed:
    """The streaks after a board, and the checks that are paused."""

    streaks: Streaks
    pauses: tuple[Pause, ...] = ()


def observe(
    streaks: Streaks,
    board: Scoreboard,
    breaker: Breaker,
    *,
    rubric: Collection[str],
    accepted: Collection[str] = (),
    settle: timedelta = timedelta(0),
) -> Observed:
    """Count `board` into `streaks`. Two looks count as two when `settle` lies between them.

    A paused check's streaks stay as they were, so that it stays paused until most services are
    back where they stood, or until somebody names it in `accepted`. `rubric` holds the ids of all
    checks: one that is no longer in it does not apply anywhere, which is no flip.
    """
    results = {
        ref: {result.check: result for result in score.results}
        for ref, score in board.scores.items()
    }
    pauses = _pauses(streaks, results, breaker, rubric)
    frozen = {pause.check for pause in pauses} - set(accepted)
    absent = streaks.keys() - results.keys()
    # The board is in doubt, not the services.
    doubted = absent if breaker.trips(len(absent), len(streaks)) else set()
    known_checks = {check for of_entity in streaks.values() for check in of_entity}
    look = _Counting(board.at, settle, frozen, known_checks)
    after: dict[Ref, Mapping[str, Streak]] = {}
    for ref in streaks.keys() | results.keys():
        before = streaks.get(ref, {})
        now = before if ref in doubted else look.counted(before, results.get(ref, {}))
        if ref in results or not _forgotten(now):
            after[ref] = now
    return Observed(after, tuple(pause for pause in pauses if pause.check in frozen))


@dataclass(frozen=True, slots=True)
class _Counting:
    """One look at a board: `frozen` checks are left as they were, others may be new."""

    at: datetime
    settle: timedelta
    frozen: Collection[str]
    known_checks: Collection[str]

    def counted(
        self, before: Mapping[str, Streak], now: Mapping[str, CheckResult]
    ) -> dict[str, Streak]:
        """One service's streaks with its results counted in."""
        return {
            check: before[check]
            if check in self.frozen and check in before
            else _advanced(
                before.get(check, Streak(baseline=check not in self.known_checks)),
                now.get(check),
                self.at,
                self.settle,
            )
            for check in before.keys() | now.keys()
        }


def asks(streak: Streak | None, *, baseline: bool) -> bool:
    """Whether a check failed twice, and not since before Ox looked (unless `baseline` says so)."""
    if streak is None or not streak.sure or streak.course is not Course.FAIL:
        return False
    return baseline or not streak.baseline


def _forgotten(streaks: Mapping[str, Streak]) -> bool:
    """Whether a service was missing twice, so that nothing needs to be remembered of it."""
    return all(streak.sure and streak.course is Course.GONE for streak in streaks.values())


def _pauses(
    streaks: Streaks,
    results: Mapping[Ref, Mapping[str, CheckResult]],
    breaker: Breaker,
    rubric: Collection[str],
) -> list[Pause]:
    known: Counter[str] = Counter()
    flipped: Counter[str] = Counter()
    for ref, of_entity in results.items():
        before = streaks.get(ref, {})
        for check, result in of_entity.items():
            course = COURSES.get(result.state)
            if course is None or check not in rubric:
                continue
            known[check] += 1
            streak = before.get(check)
            if streak is not None and streak.course not in (Course.NEW, course):
                flipped[check] += 1
    return [
        Pause(check, flipped[check], known[check])
        for check in sorted(flipped)
        if breaker.trips(flipped[check], known[check])
    ]


def _advanced(
    streak: Streak, result: CheckResult | None, at: datetime, settle: timedelta
) -> Streak:
    """One result more. None: the board does not speak of it any more."""
    course = Course.GONE if result is None else COURSES.get(result.state)
    seen = at if result is None else evidence_at(result, at)
    if course is None or (streak.evidence_at is not None and seen <= streak.evidence_at):
        return streak
    if course is streak.course:
        if streak.sure or (streak.evidence_at is not None and seen - streak.evidence_at < settle):
            return streak  # nothing new; and nothing to write into the store
        count = streak.count + 1
    else:
        count = 1
    if streak.course is Course.NEW:
        baseline = streak.baseline and course is Course.FAIL
    else:
        baseline = streak.baseline and not (course is Course.PASS and count == 2)
    return Streak(course, count, seen, baseline)


def evidence_at(result: CheckResult, at: datetime) -> datetime:
    """When the oldest of a result's evidence was seen: it is fresh when all was looked at anew."""
    seen = [
        each.seen_at
        for each in result.evidence
        if each.seen_at is not None and each.standing is EvidenceStanding.KNOWN
    ]
    return min(seen, default=at)

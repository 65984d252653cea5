"""What is seen of a few services, for the tests of notices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from bridge.model.entities import Json, Ref
from bridge.model.facts import Fact, Reading
from bridge.model.scores import (
    Check,
    CheckState,
    Level,
    Rollup,
    RollupKind,
    Rubric,
    Scoreboard,
    Waiver,
    WaiverPlace,
)
from bridge.ox.facts.snyk import CRITICALS
from bridge.ox.notices.occasions import COUNTED, Sightings
from bridge.ox.remediation.streaks import Breaker
from tests.ox.remediation.fleets import CHECKS, GATES, board, result, score, service

P, F, U, W = CheckState.PASS, CheckState.FAIL, CheckState.UNKNOWN, CheckState.WAIVED
DAY = timedelta(days=1)
TEAM = "group:default/red"
RUBRIC = Rubric("r", "", tuple(CHECKS.values()), {}, {}, (Level("all", 0),))
BREAKER = Breaker()


def owned(made: Scoreboard, team: str = TEAM) -> Scoreboard:
    """The board with all of its services in one team."""
    members = tuple(sorted(made.scores))
    rollup = Rollup(RollupKind.TEAM, team, 50.0, 1.0, len(members), 0, 0, {}, members)
    return replace(made, rollups=(rollup,))


def seen(
    at: datetime,
    gates: Mapping[int, CheckState],
    *,
    facts: Mapping[Ref, Mapping[str, Reading]] | None = None,
    check: str = GATES[0],
    expires: date | None = None,
) -> Sightings:
    """Services by number, and how one gate stands for each."""
    scores = []
    for number, state in gates.items():
        one = result(service(number), check, state, at, "it says so")
        if expires is not None:
            one = replace(one, waiver=Waiver(check, "<!here> because", expires, WaiverPlace.RUBRIC))
        scores.append(score(service(number), [one], at))
    return Sightings(owned(board(at, scores)), RUBRIC, facts or {})


def snyk(at: datetime, number: int, **issues: datetime) -> Mapping[Ref, Mapping[str, Reading]]:
    """What Snyk says is critical, by key and since when."""
    listed: dict[str, Json] = {
        key: {"title": f"Bad *{key}*", "since": since.isoformat()} for key, since in issues.items()
    }
    return _said(at, number, "snyk", CRITICALS, listed)


def counted(at: datetime, number: int, count: int) -> Mapping[Ref, Mapping[str, Reading]]:
    """How many criticals GitLab counts."""
    return _said(at, number, "gitlab_rest", COUNTED, count)


def _said(
    at: datetime, number: int, retriever: str, name: str, value: Json
) -> Mapping[Ref, Mapping[str, Reading]]:
    ref = service(number)
    fact = Fact(name, value, at, "https://tool.example")
    return {ref: {retriever: Reading(ref, retriever, "1.0.0", at, (fact,))}}


CHECK: Check = CHECKS[GATES[0]]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

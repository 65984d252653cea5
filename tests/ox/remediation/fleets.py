"""Services, checks and boards for the tests of remediation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from bridge.model.entities import Ref
from bridge.model.remediation import IssuePlace
from bridge.model.scores import (
    Check,
    CheckResult,
    CheckState,
    Evidence,
    Rollup,
    RollupKind,
    Score,
    Scoreboard,
)
from bridge.ox.remediation.drafts import Contact, Drafts, load_drafts

TEMPLATES = Path(__file__).parents[3] / "mappings" / "remediation"

GATES = ("owner", "protected", "critical")
LISTED = ("readme", "ci", "released", "slo", "dashboard")
CHECKS: Mapping[str, Check] = {
    name: Check(
        name,
        f"Has {name}",
        "Things",
        float(9 - number),
        frozenset({1, 2, 3, 4}),
        f"a.{name}",
        (f"a.{name}",),
        how_to_fix=f"add {name}",
    )
    for number, name in enumerate((*GATES, *LISTED))
}


def service(number: int) -> Ref:
    return Ref("component", "default", f"service-{number}")


def place(number: int) -> IssuePlace:
    return IssuePlace(number, f"corp/service-{number}", f"Service {number}", "group:default/team")


def drafts(**contacts: Contact) -> Drafts:
    return load_drafts([TEMPLATES], contacts={f"group:default/{k}": v for k, v in contacts.items()})


def result(
    ref: Ref, check: str, state: CheckState, seen_at: datetime | None, reason: str = ""
) -> CheckResult:
    evidence = (Evidence(f"a.{check}", state.passed, seen_at, "https://gitlab.example"),)
    weight = CHECKS[check].weight if check in CHECKS else 1.0
    return CheckResult(ref, check, state, weight, check in GATES, reason, evidence)


def score(ref: Ref, results: Sequence[CheckResult], at: datetime, tier: int = 2) -> Score:
    return Score(ref, 50.0, 1.0, True, "bronze", tier, 80.0, (), tuple(results), "r", at)


def board(at: datetime, scores: Iterable[Score], teams: int = 0) -> Scoreboard:
    """A board; with `teams`, its services belong to so many in turn."""
    found = {one.entity: one for one in scores}
    members: dict[int, list[Ref]] = {}
    for ref in found if teams else ():
        members.setdefault(int(ref.name.rpartition("-")[2]) % teams, []).append(ref)
    rollups = [
        Rollup(RollupKind.TEAM, f"group:default/team-{n}", 50.0, 1.0, len(of), 0, 0, {}, tuple(of))
        for n, of in sorted(members.items())
    ]
    return Scoreboard(at, "r", found, tuple(rollups))

"""A team's week: what got better, what got worse, and the three wins that bring most. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from bridge.model.entities import Json, Ref
from bridge.model.facts import Reading, Standing
from bridge.model.initiatives import InitiativeState, Progress
from bridge.model.scores import CheckState, RollupKind, Score, Scoreboard, ScoreDay
from bridge.model.vulnerabilities import SEVERITIES
from bridge.ox.facts.snyk import BY_SEVERITY, SNYK
from bridge.ox.remediation.harmless import slack_text

NO_FACTS: Final[Mapping[Ref, Mapping[str, Reading]]] = MappingProxyType({})
WINS: Final = 3
SHOWN: Final = 10  # changes of each kind
NOTICED: Final = 0.5  # points below which a change is none


@dataclass(frozen=True, slots=True)
class MovedScore:
    """A service whose score changed, and the checks that changed with it."""

    entity: Ref
    points: float
    checks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Win:
    """A check that would bring a service so many points."""

    entity: Ref
    check: str
    points: float
    gate: bool


@dataclass(frozen=True, slots=True)
class Vulnerabilities:
    """What Snyk has open, by severity, in so many services; `unread` could not be asked about.

    A repository of several services counts for each of them.
    """

    counts: Mapping[str, int]
    services: int
    unread: int

    def as_json(self) -> dict[str, Json]:
        """As a JSON object."""
        return {"open": dict(self.counts), "services": self.services, "unread": self.unread}


@dataclass(frozen=True, slots=True)
class GoalLine:
    """A running initiative that waits for `open` of a team's services."""

    title: str
    due: date
    open: int
    at_risk: bool

    def as_json(self) -> dict[str, Json]:
        """As a JSON object."""
        due = self.due.isoformat()
        return {"title": self.title, "due": due, "open": self.open, "atRisk": self.at_risk}


@dataclass(frozen=True, slots=True)
class TeamDigest:
    """What a team reads on Monday. `score` is None where too little is known.

    `snyk` is None where Snyk watches nothing of theirs.
    """

    team: str
    week: str
    score: float | None
    services: int
    better: tuple[MovedScore, ...]
    worse: tuple[MovedScore, ...]
    wins: tuple[Win, ...]
    snyk: Vulnerabilities | None = None
    goals: tuple[GoalLine, ...] = ()

    @property
    def news(self) -> bool:
        """Whether there is anything to say: nobody is written to for nothing."""
        found = self.snyk is not None and (self.snyk.unread or any(self.snyk.counts.values()))
        return bool(self.better or self.worse or self.wins or self.goals or found)

    def as_json(self) -> dict[str, Json]:
        """The digest with documented keys."""
        return {
            "team": self.team,
            "week": self.week,
            "score": None if self.score is None else round(self.score, 1),
            "services": self.services,
            "better": [_moved_json(each) for each in self.better],
            "worse": [_moved_json(each) for each in self.worse],
            "wins": [
                {
                    "entity": str(win.entity),
                    "check": win.check,
                    "points": round(win.points, 1),
                    "gate": win.gate,
                }
                for win in self.wins
            ],
            "snyk": self.snyk.as_json() if self.snyk is not None else None,
            "initiatives": [goal.as_json() for goal in self.goals],
        }


def week_of(moment: datetime) -> str:
    """The ISO week, "2026-W48"."""
    year, week, _ = moment.isocalendar()
    return f"{year}-W{week:02}"


def week_ago(moment: datetime) -> date:
    """The day that a digest compares with: the Sunday before last Monday."""
    monday = moment.date() - timedelta(days=moment.weekday())
    return monday - timedelta(days=8)


def digests(
    board: Scoreboard,
    before: Mapping[Ref, ScoreDay],
    week: str,
    latest: Mapping[Ref, Mapping[str, Reading]] = NO_FACTS,
    initiatives: Sequence[Progress] = (),
) -> list[TeamDigest]:
    """One a team that has services, by the team's reference.

    `latest` are the facts known now; `initiatives` as far as they are now.
    """
    return [
        replace(
            _digest(
                rollup.name, [board.scores[ref] for ref in rollup.members], before, week, rollup
            ),
            snyk=vulnerabilities(latest.get(ref, {}).get(SNYK.id) for ref in rollup.members),
            goals=goal_lines(initiatives, frozenset(rollup.members)),
        )
        for rollup in board.rollups
        if rollup.kind is RollupKind.TEAM and rollup.members
    ]


def goal_lines(initiatives: Iterable[Progress], members: Collection[Ref]) -> tuple[GoalLine, ...]:
    """The running initiatives that wait for some of a team's services."""
    counted = (
        (each, sum(one.entity in members for one in each.open))
        for each in initiatives
        if each.state is InitiativeState.RUNNING
    )
    return tuple(
        GoalLine(each.initiative.title, each.initiative.due, count, each.at_risk)
        for each, count in counted
        if count
    )


def vulnerabilities(readings: Iterable[Reading | None]) -> Vulnerabilities | None:
    """What these readings of Snyk say together; None when it watches nothing."""
    counts = dict.fromkeys(SEVERITIES, 0)
    services = unread = 0
    for reading in readings:
        fact = next(
            (each for each in reading.facts if each.name == BY_SEVERITY) if reading else iter(()),
            None,
        )
        if fact is None or fact.standing is Standing.NOT_APPLICABLE:
            continue
        if fact.standing is not Standing.KNOWN or not isinstance(fact.value, Mapping):
            unread += 1
            continue
        services += 1
        for name in SEVERITIES:
            found = fact.value.get(name)
            counts[name] += found if isinstance(found, int) else 0
    return Vulnerabilities(counts, services, unread) if services or unread else None


def _digest(
    team: str, scores: Sequence[Score], before: Mapping[Ref, ScoreDay], week: str, rollup: Any
) -> TeamDigest:
    moved = [each for score in scores if (each := _moved(score, before.get(score.entity)))]
    moved.sort(key=lambda each: (-abs(each.points), each.entity))
    wins = [
        Win(score.entity, fix.result.check, fix.points, fix.result.gate)
        for score in scores
        for fix in score.fixes()
    ]
    wins.sort(key=lambda win: (not win.gate, -win.points, win.entity, win.check))
    return TeamDigest(
        team,
        week,
        rollup.value,
        len(scores),
        tuple(each for each in moved if each.points > 0)[:SHOWN],
        tuple(each for each in moved if each.points < 0)[:SHOWN],
        tuple(wins[:WINS]),
    )


def _moved(score: Score, before: ScoreDay | None) -> MovedScore | None:
    if before is None or before.value is None or score.value is None:
        return None
    points = score.value - before.value
    if abs(points) < NOTICED:
        return None
    wanted = CheckState.PASS if points > 0 else CheckState.FAIL
    checks = tuple(
        result.check
        for result in score.results
        if result.state is wanted and before.states.get(result.check) not in (None, wanted)
    )
    return MovedScore(score.entity, points, checks)


def slack_message(digest: TeamDigest) -> dict[str, Json]:
    """The digest for a Slack-compatible webhook: text for notifications, and blocks."""
    score = "too little is known" if digest.score is None else f"{digest.score:.0f}"
    head = f"{slack_text(digest.team)}, {digest.week}: score {score}, {digest.services} services"
    lines = [f"*{head}*"]
    for title, moved in (("Better", digest.better), ("Worse", digest.worse)):
        if moved:
            lines.append(f"*{title}*")
            lines += [_moved_line(each) for each in moved]
    if digest.wins:
        lines.append("*What would bring most*")
        lines += [
            f"• {slack_text(win.check)} of {slack_text(win.entity)}: {win.points:+.1f} points"
            + (" (a gate)" if win.gate else "")
            for win in digest.wins
        ]
    if digest.goals:
        lines.append("*Initiatives*")
        lines += [_goal_line(goal) for goal in digest.goals[:SHOWN]]
    if digest.snyk is not None:
        lines.append(_snyk_line(digest.snyk))
    text = "\n".join(lines)[:2900]  # Slack takes 3,000 characters a block
    return {
        "text": head,
        "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": text}}],
    }


def _goal_line(goal: GoalLine) -> str:
    risk = ", at risk" if goal.at_risk else ""
    return f"• {slack_text(goal.title)}: {goal.open} open, due {goal.due.isoformat()}{risk}"


def _snyk_line(found: Vulnerabilities) -> str:
    counts = ", ".join(f"{count} {name}" for name, count in found.counts.items())
    unread = f"; {found.unread} could not be read" if found.unread else ""
    return f"*Open in Snyk*: {counts}, in {found.services} services{unread}"


def _moved_line(moved: MovedScore) -> str:
    why = f" ({', '.join(slack_text(check) for check in moved.checks[:5])})" if moved.checks else ""
    return f"• {slack_text(moved.entity)} {moved.points:+.1f}{why}"


def _moved_json(moved: MovedScore) -> dict[str, Json]:
    points = round(moved.points, 1)
    return {"entity": str(moved.entity), "points": points, "checks": list(moved.checks)}

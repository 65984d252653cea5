"""What is news for a team: compared with what was seen before, and told once. Pure.

What is unknown or stale is no news, and a gate broke when two looks say so. The first look at a
service takes what fails as known, and the first answer of a tool about it what is vulnerable: only
what comes later is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Final

from bridge.model.entities import Json, Ref
from bridge.model.facts import Reading, Standing
from bridge.model.initiatives import InitiativeState, Progress
from bridge.model.notices import CountSeen, GateSeen, Notice, NoticeKind, NoticeMemory
from bridge.model.scores import (
    Check,
    CheckResult,
    CheckState,
    RollupKind,
    Rubric,
    Score,
    Scoreboard,
)
from bridge.ox.facts.schemas import GITLAB_REST
from bridge.ox.facts.snyk import CRITICALS, OLD, SNYK
from bridge.ox.remediation.harmless import plain
from bridge.ox.remediation.streaks import Breaker, evidence_at

Latest = Mapping[Ref, Mapping[str, Reading]]
SOON: Final = timedelta(days=7)  # before an initiative is due and a waiver ends
CALM: Final = timedelta(days=7)  # in which a gate that broke is not told to break again
FORGOTTEN: Final = timedelta(days=90)  # after which an occasion that came back is a new one
SETTLED: Final = timedelta(days=1)  # after which a count that fell has fallen
NAMED: Final = 5  # services in one line
COUNTED: Final = "critical_vulnerabilities"  # GitLab's own, which has no identities


@dataclass(frozen=True, slots=True)
class Sightings:
    """What notices are made from."""

    board: Scoreboard
    rubric: Rubric
    latest: Latest = field(default_factory=dict)
    initiatives: Sequence[Progress] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """The news, what is to be remembered, and the checks of which too many gates broke at once."""

    notices: tuple[Notice, ...]
    memory: NoticeMemory
    doubtful: tuple[str, ...] = ()


def occasions(
    before: NoticeMemory | None, sightings: Sightings, now: datetime, breaker: Breaker
) -> Found:
    """What is new at `now`; without a memory only what is bound to a date is told."""
    return _Look(before, sightings, now, breaker).found()


@dataclass(slots=True)
class _Look:
    before: NoticeMemory | None
    sightings: Sightings
    now: datetime
    breaker: Breaker
    teams: Mapping[Ref, str] = field(init=False)
    known: dict[str, date] = field(init=False)
    notices: list[Notice] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.teams = teams_of(self.sightings.board)
        oldest = self.now.date() - FORGOTTEN
        before = self.before or NoticeMemory()
        self.known = {key: day for key, day in before.known.items() if day >= oldest}

    def found(self) -> Found:
        gates, doubtful = self._gates()
        counts = self._counts()
        for news in (self._criticals(), self._waivers(), self._initiatives()):
            for notice in news:
                self._tell(notice)
        memory = NoticeMemory(gates, counts, self.known)
        return Found(tuple(sorted(self.notices, key=lambda n: n.key)), memory, doubtful)

    def _tell(self, notice: Notice) -> None:
        """An occasion that is true now: news when it was not known."""
        first = notice.key not in self.known
        self.known[notice.key] = self.now.date()
        if first and notice.team:
            self.notices.append(notice)

    def _gates(self) -> tuple[dict[str, dict[str, GateSeen]], tuple[str, ...]]:
        """Gates as they are seen now; one that too many fail at once is left as it was."""
        before = self.before.gates if self.before is not None else {}
        doubtful = self._doubtful(before)
        after = {ref: dict(before[ref]) for ref in self._in_doubt(before)}
        for ref, score in self.sightings.board.scores.items():
            mine = dict(before.get(str(ref), {}))
            for result in _gates(score, but=doubtful):
                seen = mine.get(result.check)
                now_seen = self._gate(seen, result)
                if now_seen is None:
                    continue
                mine[result.check] = now_seen
                broke = seen is not None and seen.passes and not now_seen.passes
                if broke and not _told_lately(seen, self.now):
                    self._gate_news(result)
            after |= {str(ref): mine} if mine else {}
        return after, doubtful

    def _doubtful(self, before: Mapping[str, Mapping[str, GateSeen]]) -> tuple[str, ...]:
        """The checks that so many gates went to fail on that the check broke, and not they."""
        known: Counter[str] = Counter()
        fell: Counter[str] = Counter()
        for ref, score in self.sightings.board.scores.items():
            mine = before.get(str(ref), {})
            for result in _gates(score):
                seen = mine.get(result.check)
                known[result.check] += 1
                fell[result.check] += seen is not None and seen.passes and not result.state.passed
        return tuple(sorted(c for c in fell if self.breaker.trips(fell[c], known[c])))

    def _in_doubt(self, before: Mapping[str, object]) -> set[str]:
        """Services that are missing with so many others that the board is in doubt, not they."""
        absent = before.keys() - {str(ref) for ref in self.sightings.board.scores}
        return absent if self.breaker.trips(len(absent), len(before)) else set()

    def _gate(self, seen: GateSeen | None, result: CheckResult) -> GateSeen | None:
        """What is known of a gate after a result; None for one that never passed."""
        if result.state.passed:
            return GateSeen(told=seen.told if seen is not None else None)
        if seen is None or not seen.passes:
            return seen
        at = evidence_at(result, self.sightings.board.at)
        if seen.failing is None:
            return replace(seen, failing=at)
        if at <= seen.failing:
            return seen
        told = seen.told if _told_lately(seen, self.now) else self.now.date()
        return GateSeen(passes=False, told=told)

    def _gate_news(self, result: CheckResult) -> None:
        ref, check = result.entity, self.sightings.rubric.check(result.check)
        key = f"gate|{ref}|{result.check}|{self.now.date().isoformat()}"
        title = check.title if check is not None else result.check
        text = f"{ref}: a gate broke: {plain(title)}{_reason(result)}{_advice(check)}"
        self._add(NoticeKind.GATE, key, ref, text, result.check)

    def _add(self, kind: NoticeKind, key: str, ref: Ref, text: str, check: str = "") -> None:
        team = self.teams.get(ref, "")
        if team:
            self.notices.append(Notice(key, kind, team, text, str(ref), check, _scorecard(ref)))

    def _counts(self) -> dict[str, CountSeen]:
        """GitLab tells how many there are, and not which: more of them are news."""
        before = self.before.counts if self.before is not None else {}
        after = {ref: before[ref] for ref in self._in_doubt(before)}
        for ref in self.sightings.board.scores:
            count = _value(self.sightings.latest, ref, GITLAB_REST.id, COUNTED)
            if not isinstance(count, int):
                after |= {str(ref): before[str(ref)]} if str(ref) in before else {}
                continue
            seen = before.get(str(ref), CountSeen(count))  # the first count is known, not news
            if count > seen.most:
                key = f"counted|{ref}|{seen.most}>{count}|{self.now.date().isoformat()}"
                more = count - seen.most
                text = (
                    f"{ref}: GitLab found {more} new critical "
                    f"{'vulnerability' if more == 1 else 'vulnerabilities'}; {count} are open"
                )
                self._add(NoticeKind.VULNERABILITY, key, ref, text)
            after[str(ref)] = _counted(seen, count, self.now)
        return after

    def _criticals(self) -> Iterator[Notice]:
        """Snyk's, by their keys; one that is late when it is first seen is told once."""
        for ref in self.sightings.board.scores:
            found = _value(self.sightings.latest, ref, SNYK.id, CRITICALS)
            if not isinstance(found, Mapping):
                continue
            baseline = self._first_answer(ref, SNYK.id)
            for key, issue in sorted(found.items()):
                title, since = _issue(issue)
                new = f"vulnerability|{ref}|{plain(key, 100)}"
                if baseline:
                    self.known[new] = self.now.date()
                    self.known[f"overdue|{ref}|{plain(key, 100)}"] = self.now.date()
                    continue
                was_known = new in self.known
                said = f"{plain(title, 120)} ({plain(key, 60)} in Snyk"
                text = f"{ref}: a new critical vulnerability: {said})"
                yield self._notice(NoticeKind.VULNERABILITY, new, ref, text)
                if since is None or since > self.now - OLD:
                    continue
                late = f"overdue|{ref}|{plain(key, 100)}"
                text = f"{ref}: critical for more than {OLD.days} days: {said}, since {since:%F})"
                if was_known:
                    yield self._notice(NoticeKind.OVERDUE, late, ref, text)
                else:
                    self.known.setdefault(late, self.now.date())

    def _first_answer(self, ref: Ref, retriever: str) -> bool:
        """Whether a tool never answered about a service before."""
        key = f"answered|{retriever}|{ref}"
        first = key not in self.known
        self.known[key] = self.now.date()
        return first

    def _waivers(self) -> Iterator[Notice]:
        today = self.now.date()
        for ref, score in self.sightings.board.scores.items():
            for result in score.results:
                waiver = result.waiver
                if result.state is not CheckState.WAIVED or waiver is None:
                    continue
                if today <= waiver.expires <= today + SOON:
                    check = self.sightings.rubric.check(result.check)
                    title = plain(check.title if check is not None else result.check)
                    key = f"waiver|{ref}|{result.check}|{waiver.expires.isoformat()}"
                    text = (
                        f"{ref}: the waiver of “{title}” ends on {waiver.expires.isoformat()} "
                        f"({plain(waiver.reason)}); mend it until then, or ask anew"
                    )
                    yield self._notice(NoticeKind.WAIVER, key, ref, text, result.check)

    def _initiatives(self) -> Iterator[Notice]:
        today = self.now.date()
        for each in self.sightings.initiatives:
            goal = each.initiative
            if each.state is not InitiativeState.RUNNING or goal.due > today + SOON:
                continue
            waiting: dict[str, list[Ref]] = {}
            for service in each.open:
                waiting.setdefault(self.teams.get(service.entity, ""), []).append(service.entity)
            for team, refs in sorted(waiting.items()):
                key = f"initiative|{goal.id}|{goal.due.isoformat()}|{team}"
                text = f"{plain(goal.title)} is due on {goal.due.isoformat()}; open: {_some(refs)}"
                link = f"/initiatives/{goal.id}"
                yield Notice(key, NoticeKind.INITIATIVE, team, text, link=link)

    def _notice(self, kind: NoticeKind, key: str, ref: Ref, text: str, check: str = "") -> Notice:
        return Notice(key, kind, self.teams.get(ref, ""), text, str(ref), check, _scorecard(ref))


def teams_of(board: Scoreboard) -> dict[Ref, str]:
    """Each service's team, by the roll-ups."""
    return {
        ref: rollup.name
        for rollup in board.rollups
        if rollup.kind is RollupKind.TEAM
        for ref in rollup.members
    }


def mended(memory: NoticeMemory, notice: Notice) -> bool:
    """Whether a gate that a notice is about passes again."""
    if notice.kind is not NoticeKind.GATE:
        return False
    seen = memory.gates.get(notice.entity, {}).get(notice.check)
    return seen is not None and seen.passes


def _gates(score: Score, but: Collection[str] = ()) -> Iterator[CheckResult]:
    """A service's gates of which it is known how they stand."""
    return (r for r in score.results if r.gate and r.state.known and r.check not in but)


def _told_lately(seen: GateSeen | None, now: datetime) -> bool:
    return seen is not None and seen.told is not None and now.date() - seen.told < CALM


def _counted(seen: CountSeen, count: int, now: datetime) -> CountSeen:
    if count >= seen.most:
        return CountSeen(count)
    if seen.less is None:
        return replace(seen, less=now)
    return CountSeen(count) if now - seen.less >= SETTLED else seen


def _value(latest: Latest, ref: Ref, retriever: str, name: str) -> Json:
    """A fact that is known; None for any other."""
    reading = latest.get(ref, {}).get(retriever)
    facts = reading.facts if reading is not None else ()
    known = (f.value for f in facts if f.name == name and f.standing is Standing.KNOWN)
    return next(known, None)


def _issue(tree: Json) -> tuple[str, datetime | None]:
    if not isinstance(tree, Mapping):
        return "", None
    try:
        since = datetime.fromisoformat(str(tree.get("since")))
    except ValueError:
        return str(tree.get("title", "")), None
    return str(tree.get("title", "")), since if since.tzinfo is not None else None


def _some(refs: Sequence[Ref]) -> str:
    more = len(refs) - NAMED
    return ", ".join(map(str, refs[:NAMED])) + (f" and {more} more" if more > 0 else "")


def _reason(result: CheckResult) -> str:
    return f" ({plain(result.reason)})" if result.reason else ""


def _advice(check: Check | None) -> str:
    said = plain(check.how_to_fix, 200) if check is not None else ""
    return f". What to do: {said}" if said else ""


def _scorecard(ref: Ref) -> str:
    return f"/scores/entity/{ref}"

"""`initiatives.yaml` in the mappings' folder: goals with a date, and how far each is.

owners-known:
  title: Every service has an owner
  owner: group:default/platform
  checks: [owner-known]
  tiers: [1, 2]              # and `systems`, `teams`, `where`; left out: everybody
  starts: 2026-10-01
  due: 2026-12-31

Its shape is that of the JSON Schema `initiatives`. How far one was on a day is told by the history
of scores: nothing else is kept, and what has ended stays as a record as long as the file has it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

from bridge.errors import ConfigurationError
from bridge.language.expressions import PART
from bridge.language.names import did_you_mean
from bridge.language.own_schemas import faults
from bridge.language.source import Source
from bridge.model.entities import Json, Ref
from bridge.model.initiatives import (
    Initiative,
    InitiativeState,
    OpenService,
    Progress,
    open_service,
)
from bridge.model.problems import Problem
from bridge.model.scores import CheckState, RollupKind, Scoreboard, ScoreDay
from bridge.ox.scores.initiative_names import ServiceNames, chosen
from bridge.ox.scores.scorekeeping import Scorekeeper

log = structlog.get_logger()

NAME: Final = "initiatives.yaml"
RULE: Final = "initiatives-invalid"
POINTS: Final = 12  # of a burn-down


def load_initiatives(path: Path, checks: Sequence[str]) -> tuple[Initiative, ...]:
    """The initiatives of a file that need not be there; `checks` are the rubric's.

    Raises `ConfigurationError` with every problem, at its line.
    """
    if not path.exists():
        return ()
    expected = "expected initiatives by their id, such as `owners-known:`"
    source, tree, _ = Source.opened(path, RULE, expected, empty=True)
    source.problems += faults("initiatives", source, tree)
    if source.problems:
        raise ConfigurationError(source.problems)
    made = tuple(_initiative(source, name, body, checks) for name, body in tree.items())
    if source.problems:
        raise ConfigurationError(source.problems)
    return made


def _initiative(
    source: Source, name: str, body: Mapping[str, Json], checks: Sequence[str]
) -> Initiative:
    for at, check in enumerate(body["checks"]):
        if check not in checks:
            hint = did_you_mean(check, checks)
            message = f"`{check[:63]}` is not a check of the rubric{hint}"
            source.problem(message, (name, "checks", at))
    starts, due = (_day(source, body[key], (name, key)) for key in ("starts", "due"))
    if due < starts:
        source.problem("`due` comes before `starts`", (name, "due"))
    return Initiative(
        name,
        body["title"],
        _ref(source, body["owner"], "group", (name, "owner")),
        tuple(dict.fromkeys(body["checks"])),
        starts,
        due,
        body.get("description", ""),
        frozenset(int(tier) for tier in body.get("tiers", ())),
        frozenset(_refs(source, body, name, "system")),
        frozenset(_refs(source, body, name, "team")),
        _where(source, body.get("where", ""), (name, "where")),
    )


def _where(source: Source, text: str, path: tuple[str | int, ...]) -> str:
    if text and not PART.fullmatch(text.strip()):
        source.problem("expected one expression, such as `${{ tier <= 2 }}`", path)
    elif text:
        source.expression(text.strip(), path, ServiceNames())
    return text


def _refs(source: Source, body: Mapping[str, Json], name: str, what: str) -> Iterator[str]:
    kind = "group" if what == "team" else what
    for at, text in enumerate(body.get(f"{what}s", ())):
        yield _ref(source, text, kind, (name, f"{what}s", at))


def _ref(source: Source, text: str, kind: str, path: tuple[str | int, ...]) -> str:
    try:
        return str(Ref.parse(text, kind=kind))
    except ValueError as error:
        source.problem(str(error), path)
        return ""


def _day(source: Source, text: str, path: tuple[str | int, ...]) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        source.problem(f"`{text}` is no day of the calendar", path)
        return date.max


def concerned(goal: Initiative, board: Scoreboard, untiered: int) -> list[Ref]:
    """Whom it is for, as they are now: who has any of its checks."""
    found = [
        ref
        for ref, score in board.scores.items()
        if (not goal.tiers or (score.tier or untiered) in goal.tiers)
        and any(result.check in goal.checks for result in score.results)
    ]
    for kind, names in ((RollupKind.SYSTEM, goal.systems), (RollupKind.TEAM, goal.teams)):
        if names:
            rollups = (each for each in board.rollups if each.kind is kind and each.name in names)
            members = {ref for each in rollups for ref in each.members}
            found = [ref for ref in found if ref in members]
    if goal.where:
        fitting = frozenset(chosen(goal.where, board))
        found = [ref for ref in found if ref in fitting]
    return sorted(found)


def promised(goals: Iterable[Progress]) -> frozenset[tuple[Ref, str]]:
    """What running initiatives wait for, as (service, check): remediation takes it first."""
    return frozenset(
        (each.entity, check)
        for goal in goals
        if goal.state is InitiativeState.RUNNING
        for each in goal.open
        for check in each.failing
    )


def sampled(goal: Initiative, today: date) -> list[date]:
    """The days of a burn-down: evenly spread from its first to today or to its last."""
    end = min(today, goal.due)
    length = (end - goal.starts).days
    if length <= 0:
        return []
    steps = min(POINTS, length)
    return [goal.starts + timedelta(days=length * step // steps) for step in range(steps)]


@dataclass(slots=True)
class Initiatives:
    """Every initiative's progress, worked out once a board; a broken file keeps the last good one.

    `problems` says why the file is not the one in use.
    """

    path: Path | None
    scores: Scorekeeper
    clock: Callable[[], datetime]
    problems: tuple[Problem, ...] = ()
    _goals: tuple[Initiative, ...] = ()
    _seen: tuple[bytes | None, str] | None = None
    _made: tuple[object, tuple[Progress, ...]] = (None, ())
    _counts: dict[tuple[Initiative, date], tuple[Sequence[Ref], int]] = field(default_factory=dict)
    _records: dict[Initiative, tuple[Sequence[Ref], tuple[OpenService, ...]]] = field(
        default_factory=dict
    )
    _working: asyncio.Lock = field(default_factory=asyncio.Lock)

    def current(self) -> tuple[Initiative, ...]:
        """The initiatives; reads the file again when it or the rubric has changed."""
        checks = [check.id for check in self.scores.rubric.checks]
        stamp = (_bytes(self.path), self.scores.rubric.version)
        if self.path is None or stamp == self._seen:
            return self._goals
        self._seen = stamp
        try:
            self._goals, self.problems = load_initiatives(self.path, checks), ()
        except ConfigurationError as error:
            self.problems = error.problems
            log.error(
                "The initiatives cannot be used; those before stay",
                action="initiatives_refused",
                problems=[str(problem) for problem in error.problems],
            )
        return self._goals

    async def progress(self) -> tuple[Progress, ...]:
        """How far each is: those that run first, by their due date. Raises `StoreError`."""
        async with self._working:
            goals, board = await asyncio.to_thread(self.current), self.scores.board
            today = self.clock().astimezone(UTC).date()
            key = (goals, today, board.at if board is not None else None)
            if board is not None and self._made[0] != key:
                wanted = {(goal, day) for goal in goals for day in sampled(goal, today)}
                self._counts = {k: v for k, v in self._counts.items() if k in wanted}
                self._records = {k: v for k, v in self._records.items() if k in goals}
                made = [await self._progress(goal, board, today) for goal in goals]
                made.sort(
                    key=lambda each: (each.state is InitiativeState.ENDED, each.initiative.due)
                )
                self._made = (key, tuple(made))
            return self._made[1]

    async def _progress(self, goal: Initiative, board: Scoreboard, today: date) -> Progress:
        untiered = self.scores.rubric.untiered
        refs = await asyncio.to_thread(concerned, goal, board, untiered)
        burn = [(day, await self._count_on(goal, refs, day)) for day in sampled(goal, today)]
        if today > goal.due:
            left = await self._record(goal, refs)
            return Progress(goal, goal.due, today, len(refs), left, (*burn, (goal.due, len(left))))
        states = ((ref, {r.check: r.state for r in board.scores[ref].results}) for ref in refs)
        left = await asyncio.to_thread(_left, goal, states)
        burn += [(today, len(left))] if today >= goal.starts else []
        return Progress(goal, today, today, len(refs), left, tuple(burn))

    async def _count_on(self, goal: Initiative, refs: Sequence[Ref], day: date) -> int:
        """How many were open at the end of a day that is over: asked for once."""
        known = self._counts.get((goal, day))
        if known is None or known[0] != refs:
            known = (refs, len(await self._open_on(goal, refs, day)))
            self._counts[goal, day] = known
        return known[1]

    async def _record(self, goal: Initiative, refs: Sequence[Ref]) -> tuple[OpenService, ...]:
        """Who was open when it ended: asked for once."""
        known = self._records.get(goal)
        if known is None or known[0] != refs:
            known = (refs, await self._open_on(goal, refs, goal.due))
            self._records[goal] = known
        return known[1]

    async def _open_on(
        self, goal: Initiative, refs: Sequence[Ref], day: date
    ) -> tuple[OpenService, ...]:
        """Who was not done at the end of a day; of whom there was no score, nobody knew."""
        found: Mapping[Ref, ScoreDay] = await self.scores.standing(refs, day)
        nothing = dict.fromkeys(goal.checks, CheckState.UNKNOWN)
        states = ((ref, found[ref].states if ref in found else nothing) for ref in refs)
        return await asyncio.to_thread(_left, goal, states)


def _bytes(path: Path | None) -> bytes | None:
    """What the file holds; None when it cannot be read."""
    try:
        return path.read_bytes() if path is not None else None
    except OSError:
        return None


def _left(
    goal: Initiative, states: Iterable[tuple[Ref, Mapping[str, CheckState]]]
) -> tuple[OpenService, ...]:
    found = (open_service(ref, goal.checks, mine) for ref, mine in states)
    return tuple(each for each in found if each is not None)

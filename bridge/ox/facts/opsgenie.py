"""`opsgenie`: whether somebody is on call for the service, and who.

By the schedule that the entity names, else by those of its team (`opsgenie.com/team`, which
Backstage's plugin reads, too); nothing is guessed from names.
https://docs.opsgenie.com/docs/who-is-on-call-api
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from bridge.model.facts import FactDefinition, FactSchema, FactType, Reading, Subject
from bridge.ox.facts.json_api import PAGES, JsonApi, Unanswered, at, rows
from bridge.ox.facts.readings import ReadingBuilder
from bridge.ox.facts.schemas import DAY
from bridge.secret.live import Secret

BASE: Final = "https://api.opsgenie.com"
TEAM: Final = "opsgenie.com/team"
SCHEDULE: Final = "fester.dev/opsgenie-schedule"
MOST_PEOPLE: Final = 50  # of one service
# What such an answer says holds for one schedule; any other failure holds for the next, too.
_OF_ONE: Final = (403, 404)

OPSGENIE: Final = FactSchema(
    id="opsgenie",
    version="1.0.0",
    title="What Opsgenie knows of the service",
    description="Whether somebody is on call for the service right now, and who.",
    facts=(
        FactDefinition("on_call_named", FactType.BOOLEAN, "Somebody is on call"),
        FactDefinition("on_call", FactType.SET, "Who is on call, by user name"),
        FactDefinition("schedules", FactType.SET, "The schedules that say so"),
    ),
    cadence=DAY / 4,
    entity_filter={"kind": "component"},
)


@dataclass(frozen=True, slots=True)
class OpsgenieSchedule:
    """A schedule, and the team that owns it ("" where it is nobody's)."""

    id: str
    name: str
    team_id: str
    team: str
    enabled: bool


class Opsgenie:
    """Opsgenie's API as far as it is needed."""

    def __init__(
        self, token: str | Secret, *, base: str = BASE, trust: ssl.SSLContext | None = None
    ) -> None:
        self.api = JsonApi("Opsgenie", base, token, authorization="GenieKey {}", trust=trust)

    async def greet(self) -> None:
        """See that the key may list schedules. Raises `Unanswered`."""
        await self.api.get("/v2/schedules")

    async def schedules(self) -> list[OpsgenieSchedule]:
        """Every schedule that the key may see. Raises `Unanswered`."""
        found: list[OpsgenieSchedule] = []
        path = "/v2/schedules"
        for _ in range(PAGES):
            tree = await self.api.get(path)
            if not isinstance(tree.get("data"), list):
                raise Unanswered("Opsgenie's list of schedules has no `data`")
            found += [_schedule(row) for row in rows(tree, "data")]
            following = self.api.link(at(tree, "paging", "next"))
            if following is None:
                return found
            path = following
        raise Unanswered(f"Opsgenie's list goes on after {PAGES} pages")

    async def on_call(self, schedule: OpsgenieSchedule) -> list[str]:
        """User names of who is on call now by a schedule. Raises `Unanswered`."""
        path = f"/v2/schedules/{quote(schedule.id, safe='')}/on-calls"
        tree = await self.api.get(path, {"flat": "true"})
        names = at(tree, "data", "onCallRecipients")
        if not isinstance(names, list):
            raise Unanswered("Opsgenie does not say who is on call (`onCallRecipients`)")
        return [name for name in names if isinstance(name, str)]


class OpsgenieCollector:
    """A `bridge.ports.FactCollector`: one listing, and a question a schedule that is named."""

    def __init__(self, opsgenie: Opsgenie, clock: Callable[[], datetime]) -> None:
        self._opsgenie = opsgenie
        self._clock = clock

    @property
    def schema(self) -> FactSchema:
        """What it gives."""
        return OPSGENIE

    async def collect(self, subjects: Sequence[Subject]) -> AsyncIterator[Reading]:
        """A reading a subject; when the listing fails, everything is unknown."""
        try:
            schedules = await self._opsgenie.schedules()
        except Unanswered as error:
            for subject in subjects:
                notes = self._notes(subject)
                notes.unknown(str(error), *(fact.name for fact in OPSGENIE.facts))
                yield notes.reading()
            return
        answers = _Answers(self._opsgenie)
        for subject in subjects:
            yield await self._read(subject, schedules, answers)

    async def close(self) -> None:
        """Close the connections; safe to call twice."""
        await self._opsgenie.api.close()

    def _notes(self, subject: Subject) -> ReadingBuilder:
        return ReadingBuilder(OPSGENIE, subject.ref, self._clock(), str(self._opsgenie.api.base))

    async def _read(
        self, subject: Subject, schedules: Sequence[OpsgenieSchedule], answers: _Answers
    ) -> Reading:
        notes = self._notes(subject)
        found, said = _schedules_of(subject, schedules)
        if not found:
            notes.known("on_call_named", False, source=f"Opsgenie: {said}")
            notes.not_applicable(said, "on_call", "schedules")
            return notes.reading()
        notes.known("schedules", sorted(each.name for each in found))
        people, unread = await answers.together(found)
        source = f"Opsgenie: {said}"
        if people or not unread:
            notes.known("on_call_named", bool(people), source=source)
        else:
            notes.unknown(unread, "on_call_named")
        if unread:
            notes.unknown(unread, "on_call")
        else:
            notes.known("on_call", people[:MOST_PEOPLE], source=source)
        return notes.reading()


class _Answers:
    """Who is on call, each schedule asked once; once Opsgenie is away nothing more is asked."""

    def __init__(self, opsgenie: Opsgenie) -> None:
        self._opsgenie = opsgenie
        self._known: dict[str, list[str] | Unanswered] = {}
        self._away: Unanswered | None = None

    async def together(self, schedules: Sequence[OpsgenieSchedule]) -> tuple[list[str], str]:
        """Who is on call by any of them, and why one could not be read ("" where all were)."""
        people: list[str] = []
        unread = ""
        for schedule in schedules:
            answer = await self._of(schedule)
            if isinstance(answer, Unanswered):
                unread = unread or f"{answer} (schedule {schedule.name})"
            else:
                people += answer
        return list(dict.fromkeys(people)), unread

    async def _of(self, schedule: OpsgenieSchedule) -> list[str] | Unanswered:
        if not schedule.enabled:
            return []
        if schedule.id not in self._known:
            self._known[schedule.id] = self._away or await self._ask(schedule)
        return self._known[schedule.id]

    async def _ask(self, schedule: OpsgenieSchedule) -> list[str] | Unanswered:
        try:
            return await self._opsgenie.on_call(schedule)
        except Unanswered as error:
            self._away = None if error.status in _OF_ONE else error
            return error


def _schedule(row: dict[str, Any]) -> OpsgenieSchedule:
    team_id, team = at(row, "ownerTeam", "id"), at(row, "ownerTeam", "name")
    return OpsgenieSchedule(
        id=str(row.get("id") or ""),
        name=str(row.get("name") or ""),
        team_id=str(team_id or ""),
        team=str(team or ""),
        enabled=row.get("enabled") is not False,
    )


def _schedules_of(
    subject: Subject, schedules: Sequence[OpsgenieSchedule]
) -> tuple[list[OpsgenieSchedule], str]:
    """The schedules of an entity and how they were found; without one, why not."""
    annotations = subject.body["metadata"].get("annotations") or {}
    named = str(annotations.get(SCHEDULE) or "").strip()
    if named:
        found = [each for each in schedules if _is(named, each.id, each.name)]
        return found, f"the schedule {named}" if found else f"no schedule {named} is to be seen"
    team = str(annotations.get(TEAM) or "").strip()
    if team:
        found = [each for each in schedules if _is(team, each.team_id, each.team)]
        return found, f"the team {team}" if found else f"the team {team} has no schedule to be seen"
    return [], f"neither a team nor a schedule is named; name the team by the annotation {TEAM}"


def _is(given: str, number: str, name: str) -> bool:
    return given == number or given.lower() == name.strip().lower()

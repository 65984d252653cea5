"""Who is on call, from a tool that keeps schedules: of the schedule that an entity names, else of
all those of its team. Nothing is guessed from names.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final, Protocol

from bridge.model.facts import FactDefinition, FactSchema, FactType, Reading, Subject
from bridge.ox.facts.json_api import JsonApi, Unanswered
from bridge.ox.facts.readings import ReadingBuilder
from bridge.ox.facts.schemas import DAY

MOST_PEOPLE: Final = 50  # of one service
# What such an answer says holds for one schedule; any other failure holds for the next, too.
_OF_ONE: Final = (403, 404)


class Named(Enum):
    """What an annotation names."""

    SCHEDULE = "schedule"
    TEAM = "team"


def schema_of(name: str, tool: str) -> FactSchema:
    """The facts that such a tool gives, under the retriever's name."""
    return FactSchema(
        id=name,
        version="1.0.0",
        title=f"What {tool} knows of the service",
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
class OnCallSchedule:
    """A schedule, and the team that owns it ("" where it is nobody's, or the tool does not say)."""

    id: str
    name: str
    team_id: str
    team: str
    enabled: bool


class OnCallTool(Protocol):
    """A tool that knows schedules, as far as it is needed."""

    @property
    def api(self) -> JsonApi:
        """How it is asked; whoever holds the tool closes it."""

    async def schedules(self) -> list[OnCallSchedule]:
        """Every schedule that the token may see. Raises `Unanswered`."""

    async def on_call(self, schedule: OnCallSchedule) -> list[str]:
        """The names of who is on call now by a schedule. Raises `Unanswered`."""


class ScheduleCollector:
    """A `bridge.ports.FactCollector`: one listing, and a question a schedule that is named.

    `schema` is what `schema_of` gives; `named_by` are the annotations that count, the first that
    an entity has.
    """

    def __init__(
        self,
        tool: OnCallTool,
        schema: FactSchema,
        named_by: Sequence[tuple[str, Named]],
        clock: Callable[[], datetime],
    ) -> None:
        self._tool, self._schema, self._named_by = tool, schema, named_by
        self._clock = clock

    @property
    def schema(self) -> FactSchema:
        """What it gives."""
        return self._schema

    async def collect(self, subjects: Sequence[Subject]) -> AsyncIterator[Reading]:
        """A reading a subject; when the listing fails, everything is unknown."""
        try:
            schedules = await self._tool.schedules()
        except Unanswered as error:
            for subject in subjects:
                notes = self._notes(subject)
                notes.unknown(str(error), *(fact.name for fact in self._schema.facts))
                yield notes.reading()
            return
        answers = _Answers(self._tool)
        for subject in subjects:
            yield await self._read(subject, schedules, answers)

    async def close(self) -> None:
        """Close the connections; safe to call twice."""
        await self._tool.api.close()

    def _notes(self, subject: Subject) -> ReadingBuilder:
        return ReadingBuilder(self._schema, subject.ref, self._clock(), str(self._tool.api.base))

    async def _read(
        self, subject: Subject, schedules: Sequence[OnCallSchedule], answers: _Answers
    ) -> Reading:
        notes = self._notes(subject)
        found, said = _schedules_of(subject, schedules, self._named_by)
        source = f"{self._tool.api.name}: {said}"
        if not found:
            notes.known("on_call_named", False, source=source)
            notes.not_applicable(said, "on_call", "schedules")
            return notes.reading()
        notes.known("schedules", sorted(each.name for each in found))
        people, unread = await answers.together(found)
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
    """Who is on call, each schedule asked once; once the tool is away nothing more is asked."""

    def __init__(self, tool: OnCallTool) -> None:
        self._tool = tool
        self._known: dict[str, list[str] | Unanswered] = {}
        self._away: Unanswered | None = None

    async def together(self, schedules: Sequence[OnCallSchedule]) -> tuple[list[str], str]:
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

    async def _of(self, schedule: OnCallSchedule) -> list[str] | Unanswered:
        if not schedule.enabled:
            return []
        if schedule.id not in self._known:
            self._known[schedule.id] = self._away or await self._ask(schedule)
        return self._known[schedule.id]

    async def _ask(self, schedule: OnCallSchedule) -> list[str] | Unanswered:
        try:
            return await self._tool.on_call(schedule)
        except Unanswered as error:
            self._away = None if error.status in _OF_ONE else error
            return error


def _schedules_of(
    subject: Subject, schedules: Sequence[OnCallSchedule], named_by: Sequence[tuple[str, Named]]
) -> tuple[list[OnCallSchedule], str]:
    """The schedules of an entity and how they were found; without one, why not."""
    annotations = subject.body["metadata"].get("annotations") or {}
    for annotation, named in named_by:
        name = str(annotations.get(annotation) or "").strip()
        if name and named is Named.SCHEDULE:
            found = [each for each in schedules if _is(name, each.id, each.name)]
            return found, f"the schedule {name}" if found else f"no schedule {name} is to be seen"
        if name:
            found = [each for each in schedules if _is(name, each.team_id, each.team)]
            said = f"the team {name}"
            return found, said if found else f"{said} has no schedule to be seen"
    team = next(annotation for annotation, named in named_by if named is Named.TEAM)
    return [], f"neither a team nor a schedule is named; name the team by the annotation {team}"


def _is(given: str, number: str, name: str) -> bool:
    return given == number or given.lower() == name.strip().lower()

"""Facts that somebody pushes: a body of JSON from a stranger → readings by a registered schema.

    {"retriever": "load_tests", "readings": [
      {"entity": "component:default/api", "timestamp": "2026-05-04T12:00:00Z",
       "source": "https://ci.example.com/1", "facts": {"p99_ms": 12.5},
       "unknown": {"error_rate": "the test broke off"}}]}

`timestamp` is now when it is left out. All of it is right, or nothing is recorded.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bridge.errors import FactsRefused
from bridge.model.entities import Json, Ref
from bridge.model.fact_values import fault
from bridge.model.facts import FactSchema, Reading
from bridge.ox.facts.conform import REASON_LIMIT, entity_of, sensible
from bridge.ox.facts.readings import ReadingBuilder

READINGS_LIMIT: Final = 1_000
SOURCE_LIMIT: Final = 500  # characters
_PROBLEMS_SHOWN: Final = 20
_SHOWN: Final = 80  # characters of a stranger's own words
_NOT_PUSHED: Final = "it was not pushed"


def pushed(
    body: Json, schemas: Sequence[FactSchema], entities: Collection[Ref], now: datetime
) -> list[Reading]:
    """The readings of a body about `entities`. Raises `FactsRefused` with every problem."""
    if not isinstance(body, Mapping) or not isinstance(body.get("readings"), list):
        raise FactsRefused(['expected {"retriever": …, "readings": [{"entity": …, "facts": …}]}'])
    name = body.get("retriever")
    schema = next((schema for schema in schemas if schema.id == name), None)
    if schema is None:
        known = ", ".join(schema.id for schema in schemas) or "none"
        raise FactsRefused(
            [f"`retriever`: {_shown(name)} takes no pushed facts; registered are {known}"]
        )
    given: list[Json] = body["readings"]
    if len(given) > READINGS_LIMIT:
        raise FactsRefused([f"{len(given)} readings at once; at most {READINGS_LIMIT}"])
    problems: list[str] = []
    push = _Push(schema, entities, now, problems)
    readings = [push.reading(each, f"readings[{index}]") for index, each in enumerate(given)]
    if problems:
        more = len(problems) - _PROBLEMS_SHOWN
        shown = problems[:_PROBLEMS_SHOWN] + ([f"and {more} more"] if more > 0 else [])
        raise FactsRefused(shown)
    return [reading for reading in readings if reading is not None]


@dataclass(frozen=True, slots=True)
class _Push:
    """One push under way; what is wrong with it goes into `problems`."""

    schema: FactSchema
    entities: Collection[Ref]
    now: datetime
    problems: list[str]

    def reading(self, tree: Json, place: str) -> Reading | None:
        """One reading, None when it cannot be made."""
        if not isinstance(tree, Mapping):
            self.problems.append(f"{place}: expected an object")
            return None
        entity = entity_of(tree.get("entity"))
        if entity is None or entity not in self.entities:
            self.problems.append(
                f"{place}.entity: {_shown(tree.get('entity'))} is not in the catalog; "
                "expected a reference such as component:default/api"
            )
            return None
        moment = _moment(tree.get("timestamp"), self.now)
        if moment is None:
            self.problems.append(
                f"{place}.timestamp: expected a date-time with a zone, such as "
                "2026-05-04T12:00:00Z, none in the future and none before 2000"
            )
            return None
        source = tree.get("source", self.schema.id)
        if not isinstance(source, str) or len(source) > SOURCE_LIMIT:
            self.problems.append(f"{place}.source: expected a text of up to {SOURCE_LIMIT}")
            return None
        notes = ReadingBuilder(self.schema, entity, moment, source)
        notes.unknown(_NOT_PUSHED, *(definition.name for definition in self.schema.facts))
        self._facts(notes, tree, place)
        return notes.reading()

    def _facts(self, notes: ReadingBuilder, tree: Mapping[str, Json], place: str) -> None:
        kinds = {definition.name: definition.type for definition in self.schema.facts}
        known, unknown = tree.get("facts", {}), tree.get("unknown", {})
        if not isinstance(known, Mapping) or not isinstance(unknown, Mapping):
            self.problems.append(f"{place}: `facts` and `unknown` are objects")
            return
        for name in sorted({*known, *unknown} - kinds.keys()):
            self.problems.append(f"{place}: {_shown(name)} is no fact of {self.schema.id!r}")
        for name in sorted(known.keys() & kinds.keys()):
            why = "it is in `unknown` too" if name in unknown else fault(kinds[name], known[name])
            if why:
                self.problems.append(f"{place}.facts.{name}: {why}")
            else:
                notes.known(name, known[name])
        for name in sorted(unknown.keys() & kinds.keys()):
            if isinstance(unknown[name], str) and unknown[name]:
                notes.unknown(unknown[name][:REASON_LIMIT], name)
            else:
                self.problems.append(f"{place}.unknown.{name}: expected the reason, as a text")


def _moment(text: Json, now: datetime) -> datetime | None:
    if text is None:
        return now
    try:
        moment = datetime.fromisoformat(text)
        return moment if sensible(moment, now) else None
    except (TypeError, ValueError, OverflowError):
        return None


def _shown(value: Json) -> str:
    return repr(value)[:_SHOWN]

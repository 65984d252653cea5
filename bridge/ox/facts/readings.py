"""Readings made by a schema: every fact that it names is there, known or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bridge.model.entities import Json, Ref
from bridge.model.facts import Fact, FactSchema, Reading, Standing
from bridge.secret.masks import masked

NOTHING_SAID = "the collector did not say"


@dataclass(slots=True)
class ReadingBuilder:
    """What a collector finds out about one entity; `reading` turns it into a `Reading`."""

    schema: FactSchema
    entity: Ref
    seen_at: datetime
    source: str
    _facts: dict[str, Fact] = field(default_factory=dict)

    def known(self, name: str, value: Json, *, source: str = "") -> None:
        """A fact that was seen."""
        self._facts[name] = Fact(name, value, self.seen_at, source or self.source)

    def all_known(self, values: Mapping[str, Json]) -> None:
        """Several of them."""
        for name, value in values.items():
            self.known(name, value)

    def unknown(self, reason: str, *names: str) -> None:
        """Facts that could not be read."""
        self._without(Standing.UNKNOWN, reason, names)

    def not_applicable(self, reason: str, *names: str) -> None:
        """Facts that have no meaning here."""
        self._without(Standing.NOT_APPLICABLE, reason, names)

    def reading(self) -> Reading:
        """All facts in the schema's order; what nothing was said of is unknown."""
        for definition in self.schema.facts:
            if definition.name not in self._facts:
                self.unknown(NOTHING_SAID, definition.name)
        facts = tuple(self._facts[definition.name] for definition in self.schema.facts)
        return Reading(self.entity, self.schema.id, self.schema.version, self.seen_at, facts)

    def _without(self, standing: Standing, reason: str, names: tuple[str, ...]) -> None:
        reason = masked(reason)  # it may quote what a library said
        for name in names:
            self._facts[name] = Fact(name, None, self.seen_at, self.source, standing, reason)


def unknown_reading(
    schema: FactSchema, entity: Ref, seen_at: datetime, source: str, reason: str
) -> Reading:
    """A reading that failed as a whole."""
    notes = ReadingBuilder(schema, entity, seen_at, source)
    notes.unknown(reason, *(definition.name for definition in schema.facts))
    return notes.reading()

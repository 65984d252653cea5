"""Collectors of what is known already: they need no network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import TypeAlias

from bridge.model.entities import Ref
from bridge.model.facts import FactSchema, Reading, Subject

# What is read of a subject at a moment; the references are of what others put into Backstage.
Read: TypeAlias = Callable[[Subject, datetime, frozenset[Ref]], Reading]


class OfflineCollector:
    """Reads what the catalog holds of each entity.

    `known` tells groups and users that somebody else puts into Backstage.
    """

    def __init__(
        self,
        schema: FactSchema,
        read: Read,
        clock: Callable[[], datetime],
        known: Callable[[], frozenset[Ref]],
    ) -> None:
        self._schema = schema
        self._read = read
        self._clock = clock
        self._known = known

    @property
    def schema(self) -> FactSchema:
        """What it gives."""
        return self._schema

    async def collect(self, subjects: Sequence[Subject]) -> AsyncIterator[Reading]:
        """A reading for every subject."""
        now, known = self._clock(), self._known()
        for subject in subjects:
            yield self._read(subject, now, known)

    async def close(self) -> None:
        """Nothing is held open."""

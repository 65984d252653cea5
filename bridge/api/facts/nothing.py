"""The books of a Fester that collects no facts and has no rubric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from bridge.errors import FactsRefused
from bridge.model.entities import Json, Ref
from bridge.model.facts import CollectorRound, FactBoard, Reading
from bridge.model.scores import Check, CheckResult


class NoFacts:
    """A `FactBook` without facts."""

    board = FactBoard()
    rounds: Mapping[str, CollectorRound] = MappingProxyType({})

    async def between(
        self, entity: Ref, retrievers: Sequence[str], start: datetime, end: datetime
    ) -> Sequence[Reading]:
        """No reading."""
        return ()

    async def push(self, body: Json) -> int:
        """Always refused."""
        raise FactsRefused(["no facts are taken here; `fester serve` takes them"])


class NoChecks:
    """A `CheckBook` without checks."""

    def checks(self) -> Sequence[Check]:
        """No check."""
        return ()

    def results(self, entity: Ref) -> Sequence[CheckResult]:
        """No result."""
        return ()

"""The books of a Fester that collects no facts and has no rubric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from types import MappingProxyType

from bridge.errors import FactsRefused
from bridge.model.entities import CatalogEntity, Json, Ref
from bridge.model.facts import CollectorRound, FactBoard, Reading
from bridge.model.problems import Problem
from bridge.model.rubric_trials import RubricTrial
from bridge.model.scores import (
    Check,
    CheckResult,
    Rollup,
    RollupDay,
    RollupKind,
    Rubric,
    ScoreChange,
    ScoreDay,
)


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


class NoScores:
    """`Scores` of a rubric without checks, by which nothing is ever scored."""

    board = None
    rubric = Rubric("", "", checks=(), categories={}, targets={}, levels=())
    problems: Sequence[Problem] = ()
    flips: Mapping[tuple[str, str], int] = MappingProxyType({})

    async def proposed(
        self, entities: Sequence[CatalogEntity], latest: Mapping[Ref, Mapping[str, Reading]]
    ) -> RubricTrial | None:
        """No rubric is proposed."""
        return None

    async def trend(self, entity: Ref, start: date, end: date) -> Sequence[ScoreDay]:
        """No day."""
        return ()

    async def rollup_trend(
        self, kind: RollupKind, name: str, start: date, end: date
    ) -> Sequence[RollupDay]:
        """No day."""
        return ()

    async def rollups_on(self, kind: RollupKind, day: date) -> Mapping[str, Rollup]:
        """No roll-up."""
        return {}

    async def changes(
        self, entities: Sequence[Ref], start: date, end: date
    ) -> Sequence[ScoreChange]:
        """No change."""
        return ()

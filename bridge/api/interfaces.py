"""What the API answers from: facts, checks and scores, and who judges tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

from bridge.model.access import Principal
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
    Scoreboard,
    ScoreChange,
    ScoreDay,
)


class FactBook(Protocol):
    """What is known now, what was known, and a way to add to it; what HTTP serves."""

    @property
    def board(self) -> FactBoard:
        """The latest facts. A new one replaces it; it never changes itself."""

    @property
    def rounds(self) -> Mapping[str, CollectorRound]:
        """Each collector's latest round in this process, by its schema's id."""

    async def between(
        self, entity: Ref, retrievers: Sequence[str], start: datetime, end: datetime
    ) -> Sequence[Reading]:
        """The readings of one entity from `start` to `end`, oldest first. Raises `StoreError`."""

    async def push(self, body: Json) -> int:
        """Record what somebody pushed; gives how many readings that was.

        Raises `FactsRefused` with every problem, and then records none; or `StoreError`.
        """


class CheckBook(Protocol):
    """The checks in force, and how they stand."""

    def checks(self) -> Sequence[Check]:
        """Every check, in the rubric's order."""

    def results(self, entity: Ref) -> Sequence[CheckResult]:
        """How they stand for an entity; none for one that was not scored."""


class Gatekeeper(Protocol):
    """Tells who a bearer token belongs to."""

    async def recognize(self, token: str) -> Principal:
        """Whose token this is. Raises `TokenRefused`, or `KeysUnavailable` when nobody can tell."""


class Scores(Protocol):
    """What is served of scores: the latest board, the rubric, and their history."""

    @property
    def board(self) -> Scoreboard | None:
        """The latest board; None while nothing was evaluated."""

    @property
    def rubric(self) -> Rubric:
        """The rubric in force."""

    @property
    def problems(self) -> Sequence[Problem]:
        """Why the rubric's file is not the rubric in force."""

    async def proposed(
        self, entities: Sequence[CatalogEntity], latest: Mapping[Ref, Mapping[str, Reading]]
    ) -> RubricTrial | None:
        """What the rubric that is proposed would move; None where none is.

        Raises `ConfigurationError` with what is wrong with it, or `StoreError`.
        """

    @property
    def flips(self) -> Mapping[tuple[str, str], int]:
        """How often a check went to "pass" or to "fail" in this process: (check, to which)."""

    async def trend(self, entity: Ref, start: date, end: date) -> Sequence[ScoreDay]:
        """As `ScoreStore.score_trend`."""

    async def rollup_trend(
        self, kind: RollupKind, name: str, start: date, end: date
    ) -> Sequence[RollupDay]:
        """As `ScoreStore.rollup_trend`."""

    async def rollups_on(self, kind: RollupKind, day: date) -> Mapping[str, Rollup]:
        """As `ScoreStore.rollups_on`."""

    async def changes(
        self, entities: Sequence[Ref], start: date, end: date
    ) -> Sequence[ScoreChange]:
        """What changed between the ends of two days, in the order asked."""

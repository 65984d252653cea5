"""Checks as facts: one boolean a check, for a tech-insights backend that pulls.

Such a backend judges in a language of its own. A rule that asks whether one fact is true needs
nothing of it, so every check of a rubric can be had there, waivers and tiers included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from bridge.api.interfaces import FactBook, Scores
from bridge.model.entities import Json, Ref
from bridge.model.facts import (
    CollectorRound,
    Fact,
    FactBoard,
    FactDefinition,
    FactSchema,
    FactType,
    Reading,
)
from bridge.model.scores import Rubric, Score, Scoreboard

CHECKED: Final = "fester_checks"
_CADENCE: Final = 86_400.0


class CheckedFacts:
    """A `FactBook` with one retriever more, `CHECKED`: whether each check passes, if there are any.

    A check that is not decided for an entity (not known, waived, for another tier) is left out, as
    every fact is that is not known. There is no history of it: a whole score has one.
    """

    def __init__(self, book: FactBook, scores: Scores, clock: Callable[[], datetime]) -> None:
        self._book = book
        self._scores = scores
        self._clock = clock
        self._schema: tuple[Rubric, FactSchema] | None = None
        self._made: tuple[FactBoard, Scoreboard | None, FactSchema, FactBoard] | None = None

    @property
    def board(self) -> FactBoard:
        """The latest facts, and how each check stands by the latest scores."""
        if not self._scores.rubric.checks:
            return self._book.board
        facts, scores, schema = self._book.board, self._scores.board, self._checked()
        if self._made is not None:
            of_facts, of_scores, of_schema, made = self._made
            if of_facts is facts and of_scores is scores and of_schema is schema:
                return made
        made = _with_checks(facts, scores, schema)
        self._made = (facts, scores, schema, made)
        return made

    @property
    def rounds(self) -> Mapping[str, CollectorRound]:
        """Those of the collectors; nobody collects a check."""
        return self._book.rounds

    async def between(
        self, entity: Ref, retrievers: Sequence[str], start: datetime, end: datetime
    ) -> Sequence[Reading]:
        """The readings of the collectors. Raises `StoreError`."""
        return await self._book.between(entity, retrievers, start, end)

    async def push(self, body: Json) -> int:
        """As the book's own."""
        return await self._book.push(body)

    def _checked(self) -> FactSchema:
        rubric = self._scores.rubric
        if self._schema is None or self._schema[0] is not rubric:
            self._schema = (rubric, checks_schema(rubric, self._clock()))
        return self._schema[1]


def checks_schema(rubric: Rubric, loaded: datetime) -> FactSchema:
    """One boolean a check, by the check's id.

    That backend keeps the schema with the highest version and refuses a check on a fact that is
    not in it: so the version says when the rubric was loaded, and only grows.
    """
    kinds = sorted({kind for check in rubric.checks for kind in check.kinds})
    return FactSchema(
        id=CHECKED,
        version=f"1.{int(loaded.timestamp())}.0",
        title="Checks of Fester's rubric",
        description="Whether each check passes; left out where that is not decided.",
        facts=tuple(
            FactDefinition(check.id, FactType.BOOLEAN, check.title) for check in rubric.checks
        ),
        cadence=_CADENCE,
        entity_filter=[{"kind": kind} for kind in kinds],
    )


def _with_checks(facts: FactBoard, scores: Scoreboard | None, schema: FactSchema) -> FactBoard:
    latest = {ref: dict(known) for ref, known in facts.latest.items()}
    for ref, score in scores.scores.items() if scores is not None else ():
        latest.setdefault(ref, {})[CHECKED] = _reading(score, schema)
    return FactBoard((*facts.schemas, schema), latest, facts.changed)


def _reading(score: Score, schema: FactSchema) -> Reading:
    decided = (result for result in score.results if result.state.known)
    return Reading(
        score.entity,
        schema.id,
        schema.version,
        score.at,
        tuple(Fact(each.check, each.state.passed, score.at, "the rubric") for each in decided),
    )

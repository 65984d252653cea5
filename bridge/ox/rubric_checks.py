"""The rubric's checks and the latest scores, as tech-insights asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bridge.model.entities import Ref
from bridge.model.scores import Check, CheckResult, Rubric, Scoreboard


class Scored(Protocol):
    """Whoever keeps the rubric and the board."""

    @property
    def rubric(self) -> Rubric:
        """The rubric in force."""

    @property
    def board(self) -> Scoreboard | None:
        """The latest board; None before the first."""


@dataclass(frozen=True, slots=True)
class RubricChecks:
    """A `bridge.ports.CheckBook`."""

    scored: Scored

    def checks(self) -> Sequence[Check]:
        """Every check, in the rubric's order."""
        return self.scored.rubric.checks

    def results(self, entity: Ref) -> Sequence[CheckResult]:
        """How they stand for an entity; none for one that was not scored."""
        board = self.scored.board
        score = board.scores.get(entity) if board is not None else None
        return score.results if score is not None else ()

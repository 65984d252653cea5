"""Whose published entity differs by new scores or facts, although the same is said of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from bridge.model.entities import Ref
from bridge.model.facts import Fact, FactBoard, Reading
from bridge.model.scores import Score, Scoreboard
from bridge.ox.facts.collecting import FactService
from bridge.ox.scores.scorekeeping import Scorekeeper
from bridge.settings import Settings
from bridge.wiring.ox import WithScores

NOW = datetime(2026, 1, 1, tzinfo=UTC)
A, B, C = (Ref("component", "default", name) for name in "abc")
FILES = object()


@dataclass
class Kept:
    """What a keeper of boards shows."""

    board: Any = None


@dataclass
class Noted:
    """What is to be rendered; it may fail as a store does."""

    refs: list[Collection[Ref] | None] = field(default_factory=list)
    broken: bool = False

    async def __call__(self, refs: Collection[Ref] | None) -> None:
        if self.broken:
            raise OSError("the disk is full")
        self.refs.append(refs)


def score(ref: Ref, value: float | None, level: str = "gold") -> Score:
    known = value is not None
    return Score(ref, value, 1.0, known, level, 1, None, (), (), "v", NOW)


def board(values: Mapping[Ref, float | None]) -> Scoreboard:
    return Scoreboard(NOW, "v", {ref: score(ref, value) for ref, value in values.items()})


def pagerduty(ref: Ref, service: str) -> Mapping[str, Reading]:
    fact = Fact("service_id", service, NOW, "PagerDuty")
    return {"pagerduty": Reading(ref, "pagerduty", "1", NOW, (fact,))}


def shown_of(scores: Kept, facts: Kept | None = None) -> WithScores:
    settings = Settings.model_validate({"ox": {"publish": True}})
    known = facts if facts is not None else Kept(FactBoard())
    return WithScores(settings, cast(Scorekeeper, scores), cast(FactService, known))


async def test_only_those_whose_published_score_differs_are_rendered_again() -> None:
    scores, noted = Kept(board({A: 50, B: 70, C: None})), Noted()
    shown = shown_of(scores)
    await shown.renew(FILES, noted)
    scores.board = board({A: 50.2, B: 71, C: 10})  # published are whole numbers
    await shown.renew(FILES, noted)
    scores.board = board({A: 50})
    await shown.renew(FILES, noted)
    await shown.renew(FILES, noted)
    assert noted.refs == [None, {B, C}, {B, C}, set()]


async def test_only_those_of_which_tools_know_something_else_are() -> None:
    facts, noted = Kept(FactBoard(latest={A: pagerduty(A, "P1"), B: pagerduty(B, "P2")})), Noted()
    shown = shown_of(Kept(), facts)
    await shown.renew(FILES, noted)
    again = {"pagerduty": replace(pagerduty(A, "P1")["pagerduty"], version="2")}
    facts.board = FactBoard(latest={A: again, B: pagerduty(B, "P3"), C: pagerduty(C, "P4")})
    await shown.renew(FILES, noted)
    assert noted.refs == [None, {B, C}]


async def test_of_files_that_another_process_wrote_nothing_is_known() -> None:
    scores, noted = Kept(board({A: 50})), Noted()
    shown = shown_of(scores)
    await shown.renew((1, 1), noted)
    await shown.renew((1, 1), noted)
    await shown.renew((1, 2), noted)
    assert noted.refs == [None, set(), None]


async def test_what_could_not_be_noted_is_not_forgotten() -> None:
    scores, noted = Kept(board({A: 50})), Noted()
    shown = shown_of(scores)
    await shown.renew(FILES, noted)
    scores.board, noted.broken = board({A: 90}), True
    with pytest.raises(OSError, match="disk"):
        await shown.renew(FILES, noted)
    noted.broken = False
    await shown.renew(FILES, noted)
    assert noted.refs == [None, None]

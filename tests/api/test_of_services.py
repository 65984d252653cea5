"""What is counted and listed is of services: what is scored beside them counts nothing again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bridge.api.scores.score_query import selected
from bridge.api.scores.vulnerabilities import report
from bridge.model.entities import Json, Ref
from bridge.model.facts import Fact, FactBoard, Reading
from bridge.model.scores import Rollup, RollupKind, Score, Scoreboard
from bridge.model.vulnerabilities import BY_AGE

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CART = Ref("component", "default", "cart")
BESIDE = [Ref(kind, "default", "cart") for kind in ("api", "system", "domain")]
RED = Rollup(RollupKind.TEAM, "group:default/red", None, 0.0, 1, 1, 0, members=(CART,))


def board(*refs: Ref) -> Scoreboard:
    scores = {ref: Score(ref, None, 0.0, False, "", None, None, (), (), "r", NOW) for ref in refs}
    return Scoreboard(NOW, "r", scores, (RED,))


def facts(*refs: Ref) -> FactBoard:
    counts: dict[str, Json] = {"critical": {"week": 2}}
    fact = Fact(BY_AGE, counts, NOW, "snyk")
    latest = {ref: {"snyk": Reading(ref, "snyk", "1.0.0", NOW, (fact,))} for ref in refs}
    return FactBoard((), latest, NOW)


def test_an_api_of_the_same_repository_counts_nothing_again() -> None:
    (red,) = report(board(CART, *BESIDE), facts(CART, *BESIDE))
    assert (red.team, red.services, red.total("critical")) == ("group:default/red", 1, 2)


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ({}, ["component"]),
        ({"kind": "API"}, ["api"]),
        ({"kind": "all"}, ["api", "component", "domain", "system"]),
    ],
)
def test_scores_are_of_services_unless_another_kind_is_asked_for(
    query: dict[str, str], kinds: list[str]
) -> None:
    found = selected(board(CART, *BESIDE), query)
    assert sorted(each.entity.kind for each in found) == kinds

"""Scores in the store: the latest board, trends, and what stood on a day."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import func, select, text

from bridge.errors import StoreError
from bridge.model.entities import Json, Ref
from bridge.model.problems import Problem
from bridge.model.scores import (
    Check,
    CheckResult,
    CheckState,
    Evidence,
    Level,
    Rollup,
    RollupKind,
    Rubric,
    Score,
    Scoreboard,
    Waiver,
    WaiverPlace,
)
from bridge.ox.interfaces import ScoreStore
from bridge.store import ScoreHistory, SqlScoreStore, open_store
from bridge.store.ox_tables import score_days

pytestmark = pytest.mark.store

SOURCE = "https://gitlab.example.com"
FIRST = date(2026, 1, 1)
API, WEB = Ref("component", "default", "api"), Ref("component", "default", "web")


def check(name: str, weight: float) -> Check:
    return Check(name, name, "docs", weight, frozenset((1, 2, 3, 4)), "${{ a.b }}", ("a.b",))


RUBRIC = Rubric(
    "v1",
    "Small",
    (check("readme", 2), check("owner", 3)),
    {"docs": "Docs"},
    {1: 90, 2: 80, 3: 65, 4: 50},
    (Level("gold", 90), Level("starting", 0)),
)


def score(
    entity: Ref,
    day: date,
    readme: CheckState = CheckState.PASS,
    *,
    value: Json = True,
    rubric: str = "v1",
) -> Score:
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    evidence = (Evidence("a.b", value, at - timedelta(hours=1), "qm.yaml of shop/api"),)
    waiver = Waiver("owner", "Because", date(2027, 1, 1), WaiverPlace.MANIFEST)
    return Score(
        entity,
        100.0 if readme is CheckState.PASS else 0.0,
        1.0,
        True,
        "gold",
        1,
        90.0,
        (),
        (
            CheckResult(entity, "readme", readme, 2, True, "why", evidence),
            CheckResult(entity, "owner", CheckState.WAIVED, 3, reason="waived", waiver=waiver),
        ),
        rubric,
        at,
    )


def board(day: date, *scores: Score, product: str = "Tills") -> Scoreboard:
    values = [each.value for each in scores if each.value is not None]
    mean = sum(values) / len(values) if values else None
    rollup = Rollup(
        RollupKind.PRODUCT,
        product,
        mean,
        1.0,
        len(scores),
        0,
        0,
        {"gold": 1},
        tuple(s.entity for s in scores),
    )
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    found = {each.entity: each for each in scores}
    return Scoreboard(at, "v1", found, (rollup,), (Problem("odd", "waiver-invalid"),))


@asynccontextmanager
async def opened(url: str, history: ScoreHistory | None = None) -> AsyncIterator[SqlScoreStore]:
    store = await open_store(url)
    try:
        yield store.scores(history)
    finally:
        await store.close()


async def test_the_latest_board_survives_a_restart_whole(url: str) -> None:
    first = board(FIRST, score(API, FIRST), score(WEB, FIRST, CheckState.FAIL))
    async with opened(url) as store:
        _: ScoreStore = store
        assert await store.latest_scores(SOURCE) is None
        await store.record_scores(SOURCE, first, RUBRIC)
    async with opened(url) as store:
        assert await store.latest_scores(SOURCE) == first
        assert await store.latest_scores("another") is None
        day = FIRST + timedelta(days=1)
        second = board(day, score(API, day))
        await store.record_scores(SOURCE, second, RUBRIC)
        assert await store.latest_scores(SOURCE) == second
        assert await store.scored_at(SOURCE) == second.at
        assert await store.scored_at("another") is None


async def test_a_trend_has_the_days_of_change_and_what_stood_before(url: str) -> None:
    async with opened(url) as store:
        for number in range(10):
            day = FIRST + timedelta(days=number)
            state = CheckState.FAIL if number < 4 else CheckState.PASS
            await store.record_scores(SOURCE, board(day, score(API, day, state)), RUBRIC)
        found = await store.score_trend(SOURCE, API, FIRST, FIRST + timedelta(days=99))
        assert [(each.day, each.value) for each in found] == [
            (FIRST, 0),
            (FIRST + timedelta(days=4), 100),
        ]
        assert found[0].states == {"readme": CheckState.FAIL, "owner": CheckState.WAIVED}
        assert found[0].weights == {"readme": 2, "owner": 3}
        part = await store.score_trend(
            SOURCE, API, FIRST + timedelta(days=2), FIRST + timedelta(days=3)
        )
        assert [each.day for each in part] == [FIRST]
        assert await store.score_trend(SOURCE, WEB, FIRST, FIRST) == []
        rolled = await store.rollup_trend(
            SOURCE, RollupKind.PRODUCT, "Tills", FIRST, date(2026, 12, 31)
        )
        assert [(each.day, each.rollup.value) for each in rolled] == [
            (FIRST, 0),
            (FIRST + timedelta(days=4), 100),
        ]


async def test_the_last_score_of_a_day_is_the_days(url: str) -> None:
    async with opened(url) as store:
        for state in (CheckState.FAIL, CheckState.PASS):
            await store.record_scores(SOURCE, board(FIRST, score(API, FIRST, state)), RUBRIC)
        (found,) = await store.score_trend(SOURCE, API, FIRST, FIRST)
        assert found.value == 100


async def test_what_is_gone_is_gone_from_that_day_on(url: str) -> None:
    later, back = FIRST + timedelta(days=5), FIRST + timedelta(days=9)
    async with opened(url) as store:
        await store.record_scores(
            SOURCE, board(FIRST, score(API, FIRST), score(WEB, FIRST)), RUBRIC
        )
        await store.record_scores(SOURCE, board(later, score(API, later), product="Carts"), RUBRIC)
        assert set(await store.scores_on(SOURCE, [API, WEB], later)) == {API}
        before = await store.scores_on(SOURCE, [API, WEB], later - timedelta(days=1))
        assert {ref: each.value for ref, each in before.items()} == {API: 100, WEB: 100}
        assert await store.scores_on(SOURCE, [API], FIRST - timedelta(days=1)) == {}
        trend = await store.score_trend(SOURCE, WEB, FIRST, back)
        assert [each.gone for each in trend] == [False, True]
        rolled = await store.rollup_trend(SOURCE, RollupKind.PRODUCT, "Tills", FIRST, back)
        assert [each.gone for each in rolled] == [False, True]
        await store.record_scores(SOURCE, board(back, score(WEB, back)), RUBRIC)
        trend = await store.score_trend(SOURCE, WEB, FIRST, back)
        assert [each.gone for each in trend] == [False, True, False]


async def test_another_rubric_keeps_what_the_old_one_weighed(url: str) -> None:
    day = FIRST + timedelta(days=1)
    heavier = replace(RUBRIC, version="v2", checks=(check("readme", 7),))
    async with opened(url) as store:
        await store.record_scores(SOURCE, board(FIRST, score(API, FIRST)), RUBRIC)
        changed = board(day, score(API, day, rubric="v2"))
        await store.record_scores(SOURCE, changed, heavier)
        one, two = await store.score_trend(SOURCE, API, FIRST, day)
        assert (one.weights, two.weights) == ({"readme": 2, "owner": 3}, {"readme": 7})


async def test_old_changes_are_thinned_to_weeks_and_forgotten_but_for_what_stands(
    url: str,
) -> None:
    async with opened(url, ScoreHistory(whole=14, keep=30)) as store:
        for number in range(50):
            day = FIRST + timedelta(days=number)
            state = CheckState.FAIL if number % 2 else CheckState.PASS
            # The product does not change any more after its first day.
            found = replace(board(day, score(API, day, state)), rollups=board(FIRST).rollups)
            await store.record_scores(SOURCE, found, RUBRIC)
        last = FIRST + timedelta(days=49)
        days = [each.day for each in await store.score_trend(SOURCE, API, FIRST, last)]
        young = [day for day in days if day >= last - timedelta(days=14)]
        old = [day for day in days if day < last - timedelta(days=14)]
        assert len(young) == 15
        assert len({day.toordinal() // 7 for day in old}) == len(old)
        assert sum(day < last - timedelta(days=30) for day in days) == 1
        assert len(await store.rollup_trend(SOURCE, RollupKind.PRODUCT, "Tills", last, last)) == 1


async def test_a_board_that_did_not_change_writes_no_history(url: str) -> None:
    store = await open_store(url)
    try:
        for number in range(3):
            day = FIRST + timedelta(days=number)
            await store.scores().record_scores(SOURCE, board(day, score(API, day)), RUBRIC)
        async with store._reading("count") as connection:
            wanted = select(func.count()).select_from(score_days)
            assert (await connection.execute(wanted)).scalar_one() == 1
    finally:
        await store.close()


async def test_what_one_replica_remembers_is_not_taken_for_what_another_one_wrote(
    url: str,
) -> None:
    """Each remembers what it wrote and read last, so as not to do it again; the store decides."""
    good, poor = board(FIRST, score(API, FIRST)), board(FIRST, score(API, FIRST, CheckState.FAIL))
    whole = await open_store(url)
    try:
        one, two = whole.scores(), whole.scores()
        for by, recorded in ((one, good), (two, poor), (one, good), (one, good), (two, poor)):
            await by.record_scores(SOURCE, recorded, RUBRIC)
            for reader in (one, two):
                assert await reader.latest_scores(SOURCE) == recorded
            (day,) = await two.score_trend(SOURCE, API, FIRST, FIRST)
            assert day.value == recorded.scores[API].value
            assert day.states["readme"] is recorded.scores[API].results[0].state
        later = FIRST + timedelta(days=1)
        await two.record_scores(SOURCE, board(later, score(WEB, later)), RUBRIC)
        found = await one.latest_scores(SOURCE)
        assert found == board(later, score(WEB, later))
    finally:
        await whole.close()


async def test_odd_text_from_strangers_is_stored(url: str) -> None:
    odd = board(FIRST, score(API, FIRST, value="a\0b\ud800"), product="T\ud800")
    async with opened(url) as store:
        await store.record_scores(SOURCE, odd, RUBRIC)
        found = await store.latest_scores(SOURCE)
        assert found is not None
        assert found.scores[API].results[0].evidence[0].value == "a\0b?"


@pytest.mark.parametrize("table", ["fester_scores", "fester_boards"])
async def test_a_damaged_row_is_named(url: str, table: str) -> None:
    store = await open_store(url)
    try:
        await store.scores().record_scores(SOURCE, board(FIRST, score(API, FIRST)), RUBRIC)
        async with store._writing("damage") as connection:
            await connection.execute(text(f"UPDATE {table} SET body = :no"), {"no": b"no"})
        with pytest.raises(StoreError, match=f"table {table}.*remove that row"):
            await store.scores().latest_scores(SOURCE)
    finally:
        await store.close()

"""The store of facts, on SQLite always and on PostgreSQL where there is one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from bridge.errors import StoreError
from bridge.model.entities import Json, Ref
from bridge.model.facts import Fact, Reading, Standing
from bridge.ox.interfaces import FactStore
from bridge.store import FactHistory, SqlFactStore, SqlStore, open_store
from bridge.store.ox_tables import fact_history, facts

pytestmark = pytest.mark.store

SOURCE = "https://gitlab.example.com"
START = datetime(2026, 1, 1, 6, tzinfo=UTC)
DAY = timedelta(days=1)
REF = Ref("component", "default", "api")


def reading(
    at: datetime, value: Json = 1, *, name: str = "api", retriever: str = "manifest", **more: Json
) -> Reading:
    values = {"n": value, "steady": "always", **more}
    return Reading(
        Ref("component", "default", name),
        retriever,
        "1.0.0",
        at,
        tuple(Fact(key, each, at, "qm.yaml of shop/api") for key, each in values.items()),
    )


@asynccontextmanager
async def opened(url: str, **history: float) -> AsyncIterator[tuple[SqlStore, SqlFactStore]]:
    store = await open_store(url)
    try:
        yield store, store.facts(FactHistory(**history))
    finally:
        await store.close()


async def between(
    store: SqlFactStore, start: datetime, end: datetime, retriever: str = "manifest"
) -> list[tuple[datetime, Any]]:
    found = await store.facts_between(SOURCE, REF, [retriever], start, end)
    return [(each.seen_at, each.values()["n"]) for each in found]


async def test_the_latest_reading_of_each_retriever_is_given_whole(url: str) -> None:
    unknown = Fact("m", None, START, "GitLab", Standing.UNKNOWN, "403 from GitLab")
    other = Reading(REF, "gitlab", "1.2.0", START, (unknown,))
    async with opened(url) as (_, store):
        port: FactStore = store
        assert await port.latest_facts(SOURCE) == {}
        assert await store.latest_facts(SOURCE) == {}
        await store.record_facts(SOURCE, [reading(START, 1), other])
        await store.record_facts(SOURCE, [reading(START + DAY, {"deep": [1, None]})])
        await store.record_facts("elsewhere", [reading(START, 9)])
        latest = await store.latest_facts(SOURCE)
    assert latest == {REF: {"manifest": reading(START + DAY, {"deep": [1, None]}), "gitlab": other}}


async def test_an_unchanged_reading_moves_its_time_and_adds_one_line_a_day(url: str) -> None:
    async with opened(url) as (_, store):
        for hour in range(0, 72, 6):
            await store.record_facts(SOURCE, [reading(START + timedelta(hours=hour))])
        end = START + timedelta(hours=66)
        (latest,) = (await store.latest_facts(SOURCE)).values()
        assert latest["manifest"].seen_at == end
        kept = await between(store, START, end)
    assert [at for at, _ in kept] == [
        START,
        START + timedelta(hours=18),  # the first of each day after
        START + timedelta(hours=42),
        START + timedelta(hours=66),
    ]


async def test_of_several_changes_in_a_day_the_last_is_kept(url: str) -> None:
    async with opened(url) as (_, store):
        for hour, value in enumerate([1, 2, 3, 3]):
            await store.record_facts(SOURCE, [reading(START + timedelta(hours=hour), value)])
        await store.record_facts(SOURCE, [reading(START + DAY, 4, new=True)])
        kept = await between(store, START, START + 2 * DAY)
        whole = await store.facts_between(SOURCE, REF, ["manifest"], START + DAY, START + DAY)
    assert kept == [(START + timedelta(hours=2), 3), (START + DAY, 4)]
    assert list(whole) == [reading(START + DAY, 4, new=True)]


async def test_every_change_is_kept_when_the_interval_is_small(url: str) -> None:
    moments = [START + timedelta(seconds=n) for n in range(5)]
    async with opened(url, interval=1) as (_, store):
        await store.record_facts(SOURCE, [reading(moments[0], 0)])
        for n, at in enumerate(moments[1:], 1):
            await store.record_facts(SOURCE, [reading(at, n)])
        assert await between(store, moments[1], moments[3]) == list(
            zip(moments[1:4], (1, 2, 3), strict=True)
        )
        assert await between(store, moments[0], moments[4], "gitlab") == []


async def test_an_older_reading_does_not_replace_a_newer_one(url: str) -> None:
    async with opened(url) as (_, store):
        await store.record_facts(SOURCE, [reading(START + DAY, 2)])
        await store.record_facts(SOURCE, [reading(START, 1)])
        await store.record_facts(SOURCE, [reading(START + DAY, 3), reading(START, 0)])
        latest = await store.latest_facts(SOURCE)
    assert latest[REF]["manifest"].values()["n"] == 3


async def test_a_year_lies_in_a_few_rows_and_is_read_across_them(url: str) -> None:
    async with opened(url) as (whole, store):
        for start in range(0, 365, 9):  # weeks of a row, and of two
            daily = [reading(START + day * DAY, day) for day in range(start, min(start + 9, 365))]
            await store.record_facts(SOURCE, daily)
        assert await between(store, START, START + 400 * DAY) == [
            (START + day * DAY, day) for day in range(365)
        ]
        async with whole._reading("count") as connection:
            size = func.sum(func.length(fact_history.c.body))
            rows, bytes_ = (
                await connection.execute(select(func.count(), size).select_from(fact_history))
            ).one()
    assert rows <= 7
    assert bytes_ < 365 * 30  # a changed number a day, in a row whose other facts stay


async def test_what_is_old_is_thinned_and_what_is_older_forgotten(url: str) -> None:
    days = 300
    async with opened(url, keep=180 * 86_400) as (_, store):
        await store.record_facts(SOURCE, [reading(START, 0, name="gone")])
        daily = [reading(START + day * DAY, day) for day in range(days)]
        for start in range(0, days, 50):
            await store.record_facts(SOURCE, daily[start : start + 50])
        now = START + days * DAY
        await store.prune_facts(SOURCE, now)
        kept = await between(store, START, now)
        await store.prune_facts(SOURCE, now)
        assert await between(store, START, now) == kept
        latest = await store.latest_facts(SOURCE)
    ages = [(now - at).days for at, _ in kept]
    assert 180 <= max(ages) <= 180 + 63
    assert [age for age in ages if age < 90] == list(range(89, 0, -1))
    older = [age for age in ages if age > 90 + 63]
    assert set(map(int.__sub__, older, older[1:])) == {7}
    assert latest.keys() == {REF}


async def test_what_was_pruned_from_the_latest_can_come_again(url: str) -> None:
    async with opened(url, keep=86_400) as (_, store):
        await store.record_facts(SOURCE, [reading(START, 1)])
        await store.prune_facts(SOURCE, START + 3 * DAY)
        assert await store.latest_facts(SOURCE) == {}
        await store.record_facts(SOURCE, [reading(START + 3 * DAY, 2)])
        assert (START + 3 * DAY, 2) in await between(store, START, START + 4 * DAY)


async def test_a_row_that_cannot_be_understood_names_itself(url: str) -> None:
    async with opened(url) as (whole, store):
        await store.record_facts(SOURCE, [reading(START)])
        async with whole._writing("break") as connection:
            await connection.execute(update(facts).values(body=b"x"))
            await connection.execute(update(fact_history).values(body=b"x"))
        with pytest.raises(StoreError, match=r"component:default/api by 'manifest'.*fester_facts"):
            await store.latest_facts(SOURCE)
        with pytest.raises(StoreError, match="fester_fact_history"):
            await between(store, START, START)


async def test_what_cannot_be_stored_is_refused_with_nothing_recorded(url: str) -> None:
    async with opened(url) as (_, store):
        with pytest.raises(StoreError, match=r"api.*'manifest'"):
            await store.record_facts(SOURCE, [reading(START, name="a"), reading(START, {1, 2})])
        assert await store.latest_facts(SOURCE) == {}

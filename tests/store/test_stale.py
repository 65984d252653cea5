"""However much is noted, one statement moves only so much of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.store import SqlStore, open_store, stale
from bridge.store.stale import move, note, note_all
from bridge.store.tables import stale as noted

pytestmark = pytest.mark.store

SOURCE = "https://gitlab.test"


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stale, "AT_ONCE", 3)


@asynccontextmanager
async def changing(url: str) -> AsyncIterator[tuple[SqlStore, AsyncConnection, int]]:
    store = await open_store(url)
    try:
        async with store.editions.opening(SOURCE, 0, {}) as (connection, source_id):
            yield store, connection, source_id
    finally:
        await store.close()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 6, 10])
async def test_all_of_a_lane_is_moved_and_what_was_there_stays(url: str, count: int) -> None:
    items = [f"component:default/s{n:02}" for n in range(count)]
    async with changing(url) as (store, connection, source_id):
        await note(connection, source_id, "lane", items)
        await note(connection, source_id, "other", ["component:default/else"])
        await note(connection, source_id, "merge", [*items[::2], "component:default/before"])
        await move(connection, source_id, "lane", "merge")
    store = await open_store(url)
    try:
        merged = sorted([*items, "component:default/before"])
        assert await store.model.todo(SOURCE, "merge") == merged
        assert await store.model.todo(SOURCE, "lane") == []
        assert await store.model.todo(SOURCE, "other") == ["component:default/else"]
    finally:
        await store.close()


async def test_all_of_a_column_is_noted(url: str) -> None:
    items = [f"s{n:02}" for n in range(8)]
    async with changing(url) as (store, connection, source_id):
        for stage in ("one", "two"):
            await note(connection, source_id, stage, items)
        mine = noted.c.source_id == source_id
        await note_all(connection, source_id, "render", noted.c.item, mine)
    store = await open_store(url)
    try:
        assert await store.model.todo(SOURCE, "render") == items
    finally:
        await store.close()

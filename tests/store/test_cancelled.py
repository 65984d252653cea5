"""Work with the store that is given up at any of its waits leaves no transaction open."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Generator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bridge.model.hints import Hint
from bridge.store import open_store
from bridge.store.store import SqlStore

pytestmark = pytest.mark.store

Work = Callable[[SqlStore], Awaitable[object]]


class GivenUp:
    """Awaits something, and is cancelled at its `turn`-th wait."""

    def __init__(self, work: Awaitable[object], turn: int) -> None:
        self._work, self._turn = work.__await__(), turn

    def __await__(self) -> Generator[Any, Any, bool]:
        """Whether it ended before."""
        for _ in range(self._turn):
            try:
                waits = next(self._work)
            except StopIteration:
                return True
            yield waits
        try:
            while True:
                waits = self._work.throw(asyncio.CancelledError())
                while True:
                    yield waits
                    waits = next(self._work)
        except (asyncio.CancelledError, StopIteration):
            return False


async def leave(store: SqlStore) -> None:
    await store.hints.leave("corp", [Hint(1)])


async def lead(store: SqlStore) -> None:
    await store.lease.acquire("lead", "me", 60.0)


async def draw(store: SqlStore) -> None:
    await store.next_mark("corp", 0)


async def look(store: SqlStore) -> None:
    await store.load("corp")


@pytest.mark.parametrize("work", [leave, lead, draw, look])
async def test_who_is_cancelled_leaves_no_lock(url: str, work: Work) -> None:
    """At whichever of its waits: who comes next need not wait for a lock."""
    store = await open_store(url, patience=5.0)
    other = await open_store(url, patience=5.0)
    try:
        for turn in count(1):
            ended = await GivenUp(work(store), turn)
            await other.hints.leave("corp", [Hint(2)])
            assert await other.lease.acquire(f"lead {turn}", "other", 60.0)
            if ended:
                break
        await work(store)
    finally:
        await store.close()
        await other.close()


async def test_who_gives_up_waiting_for_a_lock_does_not_get_it_later(tmp_path: Path) -> None:
    """SQLite's thread goes on waiting, and lets go of the lock when it has it."""
    file = tmp_path / "store.db"
    store = await open_store(f"sqlite:///{file}", patience=30.0)
    try:
        with closing(sqlite3.connect(file, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            waits = asyncio.create_task(lead(store))
            _, pending = await asyncio.wait({waits}, timeout=0.2)
            assert pending
            waits.cancel()
            holder.execute("ROLLBACK")
        await asyncio.wait({waits})
        assert waits.cancelled()
        assert await store.lease.acquire("lead", "other", 60.0), "it was taken after all"
    finally:
        await store.close()

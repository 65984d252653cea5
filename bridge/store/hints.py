"""Hints that a replica took in and leaves for the one that leads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.model.hints import Hint
from bridge.store.tables import hints
from bridge.store.upsert import insert_into

Open: TypeAlias = Callable[[str], AbstractAsyncContextManager[AsyncConnection]]

_MOST = 10_000  # hints taken at once


class Hints:
    """Hints in a store; get one from `SqlStore.hints`. Every method raises `StoreError`."""

    def __init__(self, writing: Open, reading: Open) -> None:
        self._writing = writing
        self._reading = reading

    async def leave(self, source: str, found: Iterable[Hint]) -> None:
        """Leave hints for whoever leads; the same hint twice is one."""
        rows = [
            {"source": source, "project_id": hint.project_id, "group_path": hint.group}
            for hint in sorted(set(found))
        ]
        if rows:
            async with self._writing(f"leave hints on {source}") as connection:
                statement = insert_into(connection, hints).on_conflict_do_nothing()
                await connection.execute(statement, rows)

    async def take(self, source: str) -> frozenset[Hint]:
        """Take what was left, if anything was; whoever takes it must act on it."""
        mine = hints.c.source == source
        wanted = select(hints.c.id, hints.c.project_id, hints.c.group_path).where(mine)
        async with self._reading(f"look for hints on {source}") as connection:
            found = (await connection.execute(wanted.order_by(hints.c.id).limit(_MOST))).all()
        if not found:
            return frozenset()
        async with self._writing(f"take hints on {source}") as connection:
            # A hint that is left again meanwhile is dropped as the same one: it is read after.
            await connection.execute(delete(hints).where(mine, hints.c.id <= found[-1].id))
        return frozenset(Hint(row.project_id, row.group_path) for row in found)

"""Hints that a replica took in and leaves for the one that leads."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.model.hints import Hint
from bridge.store.tables import hints
from bridge.store.upsert import insert_into

Open: TypeAlias = Callable[[str], AbstractAsyncContextManager[AsyncConnection]]

_MOST = 10_000  # hints looked at at once


class Hints:
    """Hints in a store; get one from `SqlStore.hints`. Every method raises `StoreError`."""

    def __init__(self, writing: Open, reading: Open) -> None:
        self._writing = writing
        self._reading = reading

    async def leave(self, source: str, found: Iterable[Hint]) -> None:
        """Leave hints for whoever leads; the same hint twice is one, with another number."""
        rows = [
            {
                # Drawn anew each time: what `done` is told of is never what was left since.
                "id": secrets.randbits(62),
                "source": source,
                "project_id": hint.project_id,
                "group_path": hint.group,
            }
            for hint in sorted(set(found))
        ]
        if rows:
            async with self._writing(f"leave hints on {source}") as connection:
                statement = insert_into(connection, hints)
                statement = statement.on_conflict_do_update(
                    index_elements=[hints.c.source, hints.c.project_id, hints.c.group_path],
                    set_={"id": statement.excluded.id},
                )
                await connection.execute(statement, rows)

    async def waiting(self, source: str) -> dict[int, Hint]:
        """What was left and is not done, by number; it stays until `done` is told of it."""
        wanted = select(hints.c.id, hints.c.project_id, hints.c.group_path)
        wanted = wanted.where(hints.c.source == source).limit(_MOST)
        async with self._reading(f"look for hints on {source}") as connection:
            found = (await connection.execute(wanted)).all()
        return {row.id: Hint(row.project_id, row.group_path) for row in found}

    async def done(self, source: str, numbers: Collection[int]) -> None:
        """Forget hints that were followed; one that was left again since has another number."""
        if not numbers:
            return
        mine = select(hints.c.id).where(hints.c.source == source, hints.c.id.in_(numbers))
        # In the order in which they are left, so that the two never wait for each other.
        mine = mine.order_by(hints.c.project_id, hints.c.group_path).with_for_update()
        async with self._writing(f"forget hints on {source}") as connection:
            await connection.execute(delete(hints).where(hints.c.id.in_(mine)))

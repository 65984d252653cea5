"""Whose what is published is: each source has an id here, and a number that only grows."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from sqlalchemy import case, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.errors import StoreConflict
from bridge.model.destinations import Mark
from bridge.store.sources import claim_source, source_name
from bridge.store.tables import sources

Open: TypeAlias = Callable[[str], AbstractAsyncContextManager[AsyncConnection]]


class Marks:
    """Marks of publishes in a store. Every method raises `StoreError`."""

    def __init__(self, writing: Open, reading: Open) -> None:
        self._writing = writing
        self._reading = reading

    async def current(self, source: str) -> Mark | None:
        """The mark that was drawn last; None when none ever was."""
        wanted = select(sources.c.identity, sources.c.fence)
        wanted = wanted.where(sources.c.name == source_name(source))
        async with self._reading(f"look up whose {source} is") as connection:
            row = (await connection.execute(wanted)).one_or_none()
        return Mark(source, row.identity, row.fence) if row is not None and row.identity else None

    async def draw(self, source: str, passes: int, above: int = 0) -> Mark:
        """The next mark, on top of so many saved passes; its number is larger than `above`, too.

        The comparison and the drawing are one transaction: who was overtaken draws nothing.
        Raises `StoreConflict` then.
        """
        async with self._writing(f"draw a number for a publish of {source}") as connection:
            number = await claim_source(connection, source)
            grown = case((sources.c.fence > above, sources.c.fence), else_=above) + 1
            new = case((sources.c.identity == "", secrets.token_hex(8)), else_=sources.c.identity)
            statement = (
                update(sources)
                .where(sources.c.id == number, sources.c.passes == passes)
                .values(fence=grown, identity=new)
                .returning(sources.c.identity, sources.c.fence)
            )
            row = (await connection.execute(statement)).one_or_none()
        if row is None:
            raise StoreConflict(
                f"another Fester saved a pass of {source} meanwhile; this one publishes nothing, "
                "and the next one goes on from there"
            )
        return Mark(source, row.identity, row.fence)

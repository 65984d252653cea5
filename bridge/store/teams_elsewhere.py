"""The teams that Backstage has from others, as its catalog told them last: one text a source."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.store.sources import claim_source, source_name
from bridge.store.tables import sources

Open: TypeAlias = Callable[[str], AbstractAsyncContextManager[AsyncConnection]]


class TeamsElsewhere:
    """Keeps the answer of Backstage's catalog. Every method raises `StoreError`."""

    def __init__(self, writing: Open, reading: Open) -> None:
        self._writing = writing
        self._reading = reading

    async def load(self, source: str) -> str:
        """The text that was saved last; "" when none ever was."""
        wanted = select(sources.c.teams_elsewhere).where(sources.c.name == source_name(source))
        async with self._reading(f"load the teams that {source} knows of elsewhere") as connection:
            return (await connection.execute(wanted)).scalar_one_or_none() or ""

    async def save(self, source: str, text: str) -> None:
        """Keep this text in place of the one before."""
        async with self._writing(f"save the teams that {source} knows of elsewhere") as connection:
            number = await claim_source(connection, source)
            statement = update(sources).where(sources.c.id == number)
            await connection.execute(statement.values(teams_elsewhere=text))

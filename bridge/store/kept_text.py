"""A text of each source, such as an answer of somebody else's: a column of the sources' table."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

from sqlalchemy import Column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.store.sources import claim_source, source_name
from bridge.store.tables import sources

Open: TypeAlias = Callable[[str], AbstractAsyncContextManager[AsyncConnection]]


class KeptText:
    """Keeps the text in a column; `what` it is, for errors. Every method raises `StoreError`."""

    def __init__(self, writing: Open, reading: Open, column: Column[Any], what: str) -> None:
        self._writing = writing
        self._reading = reading
        self._column = column
        self._what = what

    async def load(self, source: str) -> str:
        """The text that was saved last; "" when none ever was."""
        wanted = select(self._column).where(sources.c.name == source_name(source))
        async with self._reading(f"load {self._what} of {source}") as connection:
            return (await connection.execute(wanted)).scalar_one_or_none() or ""

    async def save(self, source: str, text: str) -> None:
        """Keep this text in place of the one before."""
        async with self._writing(f"save {self._what} of {source}") as connection:
            number = await claim_source(connection, source)
            statement = update(sources).where(sources.c.id == number)
            await connection.execute(statement.values({self._column: text}))

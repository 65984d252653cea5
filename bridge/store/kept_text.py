"""A text of each source, such as an answer of somebody else's: a column of the sources' table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

from sqlalchemy import Column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.store.sources import claim_source, source_name
from bridge.store.tables import sources

Open: TypeAlias = Callable[[str], AbstractAsyncContextManager[AsyncConnection]]
Changing: TypeAlias = Callable[
    [str, int, Mapping[str, int]], AbstractAsyncContextManager[tuple[AsyncConnection, int]]
]


class SqlKeptText:
    """Keeps the text in a column; `what` it is, for errors. Every method raises `StoreError`."""

    def __init__(self, writing: Open, reading: Open, column: Column[Any], what: str) -> None:
        self._writing = writing
        self._reading = reading
        self._column = column
        self._what = what

    async def load(self, source: str) -> str:
        """The text that was saved last; "" when none ever was."""
        return await _load(self._reading, self._column, self._what, source)

    async def save(self, source: str, text: str) -> None:
        """Keep this text in place of the one before."""
        async with self._writing(f"save {self._what} of {source}") as connection:
            number = await claim_source(connection, source)
            statement = update(sources).where(sources.c.id == number)
            await connection.execute(statement.values({self._column: text}))


class SqlEditionText:
    """Keeps the text in a column, each as an edition of its source: see `Editions.opening`."""

    def __init__(self, reading: Open, changing: Changing, column: Column[Any], what: str) -> None:
        self._reading = reading
        self._changing = changing
        self._column = column
        self._what = what

    async def load(self, source: str) -> str:
        """The text that was kept last; "" when none ever was."""
        return await _load(self._reading, self._column, self._what, source)

    async def keep(self, source: str, edition: int, text: str) -> int:
        """Keep this text in place of the one before. Gives the next edition.

        Raises `StoreConflict` when `edition` is not the latest.
        """
        async with self._changing(source, edition, {}) as (connection, number):
            statement = update(sources).where(sources.c.id == number)
            await connection.execute(statement.values({self._column: text}))
        return edition + 1


async def _load(reading: Open, column: Column[Any], what: str, source: str) -> str:
    wanted = select(column).where(sources.c.name == source_name(source))
    async with reading(f"load {what} of {source}") as connection:
        return (await connection.execute(wanted)).scalar_one_or_none() or ""

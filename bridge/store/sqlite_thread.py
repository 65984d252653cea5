"""SQLite in a thread of its own, with few ways there and back.

Each way between the loop and the thread costs more than most of our statements. `aiosqlite` goes
four times for a statement, to make a cursor, execute, fetch and close it, and three times to begin
a transaction. Here a statement begins what is to be begun, and brings its first rows along.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, Self

import aiosqlite

_AT_ONCE: Final = 500  # rows that come with the statement: bounds what a stream holds


class SqliteConnection(aiosqlite.Connection):
    """A connection whose cursors are `Cursor`s.

    `begins` is how the next statement begins a transaction; "": not at all. SQLite itself takes the
    moment of a deferred one with its first statement:
    https://www.sqlite.org/lang_transaction.html
    """

    begins = ""

    def cursor(self) -> Any:
        """A cursor, at once; SQLAlchemy enters it."""
        return Cursor(self)

    async def run(self, work: Callable[[str], Any]) -> Any:
        """Let `work` do something in the thread; it is told how to begin a transaction."""
        # Taken back here: whoever is cancelled cannot tell how far the thread has come.
        begins, self.begins = self.begins, ""
        return await self._execute(work, begins)  # type: ignore[no-untyped-call]  # aiosqlite's

    async def commit(self) -> None:
        """Commit, if anything was begun."""
        if self.begins:
            self.begins = ""
        else:
            await super().commit()

    async def rollback(self) -> None:
        """Roll back, if anything was begun."""
        if self.begins:
            self.begins = ""
        else:
            await super().rollback()


class Cursor:
    """A cursor as SQLAlchemy wants one of `aiosqlite`; it is closed as soon as it has no more."""

    def __init__(self, connection: SqliteConnection) -> None:
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self.arraysize = 1
        self._connection = connection
        self._cursor: sqlite3.Cursor | None = None  # while it has more rows
        self._rows: list[Any] = []

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Self:
        """Execute a statement and fetch its first rows."""
        await self._connection.run(partial(self._run, "execute", sql, parameters))
        return self

    async def executemany(self, sql: str, parameters: Iterable[Sequence[Any]]) -> Self:
        """Execute a statement for each of the parameters."""
        await self._connection.run(partial(self._run, "executemany", sql, parameters))
        return self

    async def fetchone(self) -> Any:
        """The next row; None when there is none."""
        found = await self.fetchmany(1)
        return found[0] if found else None

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        """The next rows, at most so many."""
        wanted = size or self.arraysize
        if len(self._rows) < wanted and self._cursor is not None:
            await self._connection.run(partial(self._more, max(wanted, _AT_ONCE)))
        found, self._rows = self._rows[:wanted], self._rows[wanted:]
        return found

    async def fetchall(self) -> list[Any]:
        """All rows that are left."""
        if self._cursor is not None:
            await self._connection.run(partial(self._more, -1))
        found, self._rows = self._rows, []
        return found

    async def __aiter__(self) -> AsyncIterator[Any]:
        while found := await self.fetchmany(_AT_ONCE):
            for row in found:
                yield row

    async def close(self) -> None:
        """Let go of what was not fetched."""
        self._rows = []
        if self._cursor is not None:
            await self._connection.run(self._end)

    # In the thread.

    def _run(self, how: str, sql: str, parameters: Any, begins: str) -> None:
        self._end()
        raw = self._connection._conn
        if begins:
            raw.execute(begins)
        self._cursor = cursor = raw.cursor()
        try:
            getattr(cursor, how)(sql, parameters)
        except BaseException:
            self._end()
            raise
        self.description, self.rowcount = cursor.description, cursor.rowcount
        self.lastrowid = cursor.lastrowid
        self._rows = []
        self._more(_AT_ONCE)

    def _more(self, most: int, _begins: str = "") -> None:
        assert self._cursor is not None
        found = self._cursor.fetchall() if most < 0 else self._cursor.fetchmany(most)
        self._rows += found
        if most < 0 or len(found) < most:
            self._end()

    def _end(self, _begins: str = "") -> None:
        if self._cursor is not None:
            self._cursor.close()
            self._cursor = None


async def connect(database: str, **options: Any) -> SqliteConnection:
    """Open a database as `sqlite3.connect` does, in a thread that ends with the process."""
    connection = SqliteConnection(partial(sqlite3.connect, database, **options), _AT_ONCE)
    connection._thread.daemon = True
    await connection
    return connection

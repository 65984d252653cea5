"""The cursors of SQLite's thread give what sqlite3's own would."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.store.sqlite_thread import SqliteConnection, connect

pytestmark = pytest.mark.store

ROWS = 1_203  # more than come with the statement, twice


@pytest.fixture
async def numbers(tmp_path: Path) -> AsyncIterator[SqliteConnection]:
    connection = await connect(str(tmp_path / "n.db"), isolation_level=None)
    cursor = connection.cursor()
    await cursor.execute("CREATE TABLE numbers (n INTEGER PRIMARY KEY)")
    await cursor.execute("BEGIN")
    await cursor.executemany("INSERT INTO numbers VALUES (?)", [(n,) for n in range(ROWS)])
    assert cursor.rowcount == ROWS
    await connection.commit()
    yield connection
    await connection.close()


async def test_all_rows_come_however_they_are_fetched(numbers: SqliteConnection) -> None:
    wanted = [(n,) for n in range(ROWS)]
    cursor = numbers.cursor()
    await cursor.execute("SELECT n FROM numbers ORDER BY n")
    assert [column[0] for column in cursor.description] == ["n"]
    assert await cursor.fetchall() == wanted
    assert await cursor.fetchall() == []
    await cursor.execute("SELECT n FROM numbers ORDER BY n")
    parts = [await cursor.fetchone(), *await cursor.fetchmany(), *await cursor.fetchmany(700)]
    assert parts == wanted[:702]
    assert await cursor.fetchall() == wanted[702:]
    assert await cursor.fetchone() is None
    await cursor.execute("SELECT n FROM numbers ORDER BY n")
    assert [row async for row in cursor] == wanted


async def test_a_statement_without_rows_says_what_it_did(numbers: SqliteConnection) -> None:
    cursor = numbers.cursor()
    await cursor.execute("INSERT INTO numbers VALUES (?)", (7_000,))
    assert (cursor.description, cursor.rowcount, cursor.lastrowid) == (None, 1, 7_000)
    with pytest.raises(sqlite3.IntegrityError):
        await cursor.execute("INSERT INTO numbers VALUES (?)", (7_000,))
    await cursor.execute("SELECT count(*) FROM numbers")
    assert await cursor.fetchall() == [(ROWS + 1,)]


async def test_a_transaction_is_of_the_moment_of_its_first_statement(
    numbers: SqliteConnection, tmp_path: Path
) -> None:
    """As it is with sqlite3, however much later that comes; and then it stays so to its end."""
    cursor = numbers.cursor()
    await cursor.execute("PRAGMA journal_mode=WAL")
    numbers.begins = "BEGIN"
    with sqlite3.connect(tmp_path / "n.db") as other:
        other.execute("DELETE FROM numbers WHERE n >= 10")
    await cursor.execute("SELECT count(*) FROM numbers")
    assert await cursor.fetchall() == [(10,)]
    with other:
        other.execute("DELETE FROM numbers")
    await cursor.execute("SELECT count(*) FROM numbers")
    assert await cursor.fetchall() == [(10,)]
    await numbers.rollback()
    await cursor.execute("SELECT count(*) FROM numbers")
    assert await cursor.fetchall() == [(0,)]
    other.close()


async def test_what_was_not_begun_is_not_ended(numbers: SqliteConnection) -> None:
    """A transaction without a statement leaves nothing that the next statement would be in."""
    cursor = numbers.cursor()
    for end in (numbers.rollback, numbers.commit):
        numbers.begins = "BEGIN"
        await end()
        await cursor.execute("INSERT INTO numbers VALUES (NULL)")
        assert not numbers.in_transaction


async def test_a_cursor_that_is_closed_midway_holds_nothing(
    numbers: SqliteConnection, tmp_path: Path
) -> None:
    """Neither its rows nor a lock that another process would wait for."""
    cursor = numbers.cursor()
    await cursor.execute("SELECT n FROM numbers ORDER BY n")
    await cursor.fetchmany(3)
    await cursor.close()
    assert await cursor.fetchall() == []
    with sqlite3.connect(tmp_path / "n.db", timeout=0) as other:
        other.execute("DELETE FROM numbers")
    other.close()

"""INSERT … ON CONFLICT, which both databases have and SQLAlchemy spells once for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Dialect, Insert, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

Row = Mapping[str, Any]


def insert_into(connection: AsyncConnection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT into `table` that takes `on_conflict_do_…`, for the connection's database."""
    return _insert(connection.dialect.name, table)


async def put_rows(connection: AsyncConnection, table: Table, rows: Sequence[Row]) -> None:
    """Write rows, each over the one with the same primary key. All name the same columns."""
    await _execute(connection, _replacing(connection.dialect.name, table), rows)


async def add_rows(connection: AsyncConnection, table: Table, rows: Sequence[Row]) -> None:
    """Write rows; one that is there already stays as it is. All name the same columns."""
    await _execute(connection, _adding(connection.dialect.name, table), rows)


async def _execute(connection: AsyncConnection, statement: Insert, rows: Sequence[Row]) -> None:
    if not rows:
        return
    sql, order = _spelt(connection.dialect, statement, tuple(rows[0]))
    # Past SQLAlchemy, which would look up how to bind each value of each row.
    values = list(map(itemgetter(*order), rows)) if order else list(rows)
    await connection.exec_driver_sql(sql, values)


@lru_cache(maxsize=64)
def _spelt(dialect: Dialect, statement: Insert, columns: Sequence[str]) -> tuple[str, Any]:
    """The text of a statement; with the order of its values where they go by their places."""
    compiled: Any = statement.compile(dialect=dialect, column_keys=list(columns))
    return str(compiled), compiled.positiontup


def _insert(dialect: str, table: Table) -> postgresql.Insert | sqlite.Insert:
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


@cache
def _adding(dialect: str, table: Table) -> Insert:
    return _insert(dialect, table).on_conflict_do_nothing()


@cache
def _replacing(dialect: str, table: Table) -> Insert:
    # Made once for each table: it has an object for every column.
    statement = _insert(dialect, table)
    keys = list(table.primary_key.columns)
    rest = {
        column.name: statement.excluded[column.name]
        for column in table.columns
        if not column.primary_key
    }
    return statement.on_conflict_do_update(index_elements=keys, set_=rest)

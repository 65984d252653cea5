"""INSERT … ON CONFLICT, which both databases have and SQLAlchemy spells once for each."""

from __future__ import annotations

from functools import cache

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection


def insert_into(connection: AsyncConnection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT into `table` that takes `on_conflict_do_…`, for the connection's database."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def replace_into(connection: AsyncConnection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that overwrites the row with the same primary key."""
    return _replacing(connection.dialect.name, table)


@cache
def _replacing(dialect: str, table: Table) -> postgresql.Insert | sqlite.Insert:
    # Made once for each table: it has an object for every column.
    on_sqlite = dialect == "sqlite"
    statement = sqlite.insert(table) if on_sqlite else postgresql.insert(table)
    keys = list(table.primary_key.columns)
    rest = {
        column.name: statement.excluded[column.name]
        for column in table.columns
        if not column.primary_key
    }
    return statement.on_conflict_do_update(index_elements=keys, set_=rest)

"""The tables of a new SQLite store, made once by the steps and then copied.

The steps take seventy milliseconds, and hundreds of tests open a new store. What is copied is
what the steps gave, statement by statement; a store that has tables, and every store of another
kind, goes through the steps as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection, text

from bridge.store import schema
from bridge.store.tables import VERSION_TABLE

Upgrade = Callable[[Connection], None]


class CopiedTables:
    """An `upgrade` that gives a new SQLite database what `steps` gave the first one."""

    def __init__(self, steps: Upgrade) -> None:
        self._steps = steps
        self._dump: list[str] = []

    def __call__(self, connection: Connection) -> None:
        if connection.dialect.name != "sqlite" or _tables(connection):
            self._steps(connection)
            return
        if not self._dump:
            self._steps(connection)
            self._dump = _dump(connection)
            return
        for statement in self._dump:
            connection.exec_driver_sql(statement)


def _tables(connection: Connection) -> list[tuple[str, str]]:
    """Each table's name and statement, then each index's."""
    found = connection.execute(
        text(
            "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL "
            "AND name NOT LIKE 'sqlite_%' ORDER BY type DESC, rowid"
        )
    )
    return [(row.name, row.sql) for row in found]


def _dump(connection: Connection) -> list[str]:
    made = _tables(connection)
    rows = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}"))
    versions = [str(row.version_num) for row in rows]
    told = [f"INSERT INTO {VERSION_TABLE} VALUES ('{each}')" for each in versions]
    return [sql for _, sql in made] + told


@pytest.fixture(scope="session", autouse=True)
def tables_are_copied() -> Iterator[None]:
    """Every new SQLite store of this process gets its tables by copying."""
    steps = schema.upgrade
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "upgrade", CopiedTables(steps))
        yield

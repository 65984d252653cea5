"""PostgreSQL is told to look at tables that a first sweep fills faster than it looks by itself."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from structlog.testing import capture_logs

from bridge.model.hints import Hint
from bridge.model.statements import Taken
from bridge.store import SqlStore, open_store
from bridge.store.statistics import FIRST
from tests.store.conftest import database

pytestmark = [pytest.mark.store, pytest.mark.real]


async def write(store: SqlStore, times: int) -> None:
    """As often as that what a sweep finds."""
    model = store.model
    for _ in range(times):
        edition = (await model.state("town")).edition
        await model.take("town", edition, Taken(gone_projects=[1]), "merge")


def rows(url: str, query: str) -> list[Any]:
    with import_module("psycopg").connect(url, autocommit=True) as connection:
        done = connection.execute(query)
        return list(done.fetchall()) if done.description else []


def looked_at(url: str) -> set[str]:
    """The tables of which PostgreSQL knows how many rows they have."""
    found = rows(url, "SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples >= 0")
    return {name for (name,) in found if name.startswith("fester_")}


async def test_tables_are_looked_at_after_some_writes(server: str) -> None:
    """What a process writes to hold the lead counts for nothing."""
    url = database(server)
    store = await open_store(url)
    try:
        before = looked_at(url)
        assert "fester_targets" not in before
        await write(store, FIRST - 1)
        await store.hints.leave("town", [Hint(1)])
        assert looked_at(url) == before
        await write(store, 1)
        assert {"fester_targets", "fester_stale", "fester_entities"} <= looked_at(url)
    finally:
        await store.close()


async def test_a_look_that_fails_loses_no_write(server: str) -> None:
    url = database(server)
    store = await open_store(url)
    try:
        rows(url, "ALTER TABLE fester_names RENAME TO elsewhere")
        with capture_logs() as logs:
            await write(store, FIRST)
        told = [each for each in logs if each["action"] == "statistics_failed"]
        (reason,) = [each["reason"] for each in told]
        assert 'relation "fester_names" does not exist' in reason
        assert (await store.model.state("town")).edition == FIRST
    finally:
        await store.close()

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from itertools import count
from pathlib import Path

import pytest

from tests.store.postgresql import NoPostgresql, cluster

_numbers = count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    try:
        import_module("psycopg")
        running = cluster()
        url = running.__enter__()
    except (NoPostgresql, ImportError) as reason:
        pytest.skip(f"NOT PROVEN ON POSTGRESQL: {reason}")
    yield url
    running.__exit__(None, None, None)


_STARTED_ONCE = pytest.mark.real("PostgreSQL is started once for all")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=_STARTED_ONCE)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store's URL, of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    return database(request.getfixturevalue("server"))


def database(server: str) -> str:
    """The URL of a new, empty database of a cluster."""
    name = f"fester{next(_numbers)}"
    # psycopg is imported late: without it, the tests of PostgreSQL are skipped.
    with import_module("psycopg").connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{server}/{name}"


@pytest.fixture(autouse=True)
async def drivers_threads_end() -> AsyncIterator[None]:
    """The loop outlives the threads of connections that broke.

    SQLAlchemy ends such a connection without waiting for its thread, which then reports to the
    loop; pytest would close the loop in between. Threads that were there before belong to
    fixtures of a wider scope, whose stores stay open.
    """
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        if "_connection_worker_thread" in thread.name:
            await asyncio.to_thread(thread.join, 5)

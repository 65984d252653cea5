"""The statements of SQLite stores, compiled once in a process and not once for each store.

SQLAlchemy keeps what it compiled with an engine and its dialect. A service has one of them; tests
open hundreds of stores, and a tenth of what these took of a core was the same statements, compiled
again. What is sent to the database is the same, and it is sent for each store as ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import LRUCache

from bridge.store import address


class OfOneDialect:
    """Makes engines as `create_async_engine` does; those of SQLite share what was compiled."""

    def __init__(self) -> None:
        self._compiled: LRUCache[Any, Any] = LRUCache(5_000)
        self._dialect: Dialect | None = None

    def __call__(self, url: Any, **options: Any) -> AsyncEngine:
        engine = create_async_engine(url, **options)
        if engine.dialect.name == "sqlite":
            engine.sync_engine.dialect = self._shared(engine.dialect)
            engine.sync_engine._compiled_cache = self._compiled
        return engine

    def _shared(self, own: Dialect) -> Dialect:
        # The first one that has seen a database: until it has, it does not know all of itself.
        if self._dialect is None or self._dialect.default_isolation_level is None:
            self._dialect = own
        return self._dialect


@pytest.fixture(scope="session", autouse=True)
def statements_are_compiled_once() -> Iterator[None]:
    """Every SQLite store of this process shares what was compiled for another one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(address, "create_async_engine", OfOneDialect())
        yield

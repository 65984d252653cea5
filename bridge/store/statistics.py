"""What PostgreSQL knows of tables that grow faster than it looks at them.

It looks once a minute. Until then it takes a table for what it was, and reads all rows of a source
to find five hundred of them by name: a first sweep would spend most of that minute so.
https://www.postgresql.org/docs/current/sql-analyze.html
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.store.tables import (
    blobs,
    entities,
    manifests,
    names,
    problems,
    projects,
    reads,
    stale,
    statements,
    targets,
)

# Writes of what a sweep finds after which a process has the tables looked at, and then doubled.
FIRST: Final = 16
_GROWING: Final = (
    projects,
    manifests,
    statements,
    reads,
    blobs,
    entities,
    targets,
    names,
    stale,
    problems,
)
# Of several processes at once one is enough.
_LOOK: Final = text(f"ANALYZE (SKIP_LOCKED) {', '.join(each.name for each in _GROWING)}")

log = structlog.get_logger()


class Statistics:
    """Counts the writes of one process. `alone` gives a connection outside any transaction."""

    def __init__(self, alone: Callable[[], AbstractAsyncContextManager[AsyncConnection]]) -> None:
        self._alone = alone
        self._writes = 0

    async def written(self) -> None:
        """Something was written. Where it fails to look at the tables, all is slower and nothing
        else.
        """
        self._writes += 1
        if self._writes < FIRST or self._writes & (self._writes - 1):
            return
        try:
            async with self._alone() as connection:
                await connection.execute(_LOOK)
        except (SQLAlchemyError, OSError) as error:
            log.warning(
                "PostgreSQL did not look at the tables, it will by itself",
                action="statistics_failed",
                reason=repr(error.__cause__ or error),
            )

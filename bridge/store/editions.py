"""Editions of sources: whoever writes names the one that it builds on, and makes the next one.

Of two who write at once the later one is refused, whatever both hold in memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.errors import StoreConflict
from bridge.store.sources import claim_source, source_id_of, with_figures
from bridge.store.standing import StandingProblems
from bridge.store.tables import sources

Connect: TypeAlias = Callable[[str], AbstractAsyncContextManager[AsyncConnection]]


def overtaken(source: str) -> StoreConflict:
    """The error of who builds on what another process has replaced."""
    return StoreConflict(
        f"another Fester saved a pass of {source} meanwhile; this one publishes nothing more, and "
        "the next one goes on from there"
    )


class Editions:
    """Opens a source for reading, or for its next edition.

    `standing` are the problems of sources, which follow their editions.
    """

    def __init__(self, writing: Connect, reading: Connect) -> None:
        self._writing = writing
        self._reading = reading
        self.standing = StandingProblems()
        self._ids: dict[str, int] = {}

    @asynccontextmanager
    async def of(
        self, source: str, action: str
    ) -> AsyncIterator[tuple[AsyncConnection, int | None]]:
        """A moment of the store, and the source's number in it; None before its first edition."""
        async with self._reading(f"{action} {source}") as connection:
            number = self._ids.get(source)
            if number is None:
                number = await source_id_of(connection, source)
                if number is not None:
                    self._ids[source] = number
            yield connection, number

    @asynccontextmanager
    async def changing(
        self, source: str, edition: int, figures: Mapping[str, int]
    ) -> AsyncIterator[tuple[AsyncConnection, int]]:
        """A transaction that makes the next edition, and the number of the source.

        `figures` are added to those of the source. Raises `StoreConflict` where another process
        made an edition since `edition`.
        """
        async with self._writing(f"save what is known of {source}") as connection:
            source_id = self._ids.get(source)
            if source_id is None:
                source_id = await claim_source(connection, source)
            wanted = select(sources.c.edition, sources.c.figures).where(sources.c.id == source_id)
            row = (await connection.execute(wanted.with_for_update())).one()
            if row.edition != edition:
                raise overtaken(source)
            values: dict[str, Any] = {"edition": edition + 1}
            if figures:
                values["figures"] = with_figures(row.figures, figures)
            await connection.execute(
                update(sources).where(sources.c.id == source_id).values(values)
            )
            yield connection, source_id
        self._ids[source] = source_id
        self.standing.moved(source, edition)

    @asynccontextmanager
    async def opening(
        self, source: str, edition: int, figures: Mapping[str, int]
    ) -> AsyncIterator[tuple[AsyncConnection, int]]:
        """As `changing`, for an edition in which others may merge: they write problems in it."""
        async with self.changing(source, edition, figures) as made:
            yield made
        self.standing.forget(source)

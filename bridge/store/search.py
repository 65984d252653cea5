"""Finds entities by what is known of them, without loading the others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from sqlalchemy import and_, or_, select

from bridge.model.entities import Ref
from bridge.store import model_codec
from bridge.store.lease import Open
from bridge.store.sources import source_id_of
from bridge.store.tables import entities, names, targets

_END: Final = "\x7f"  # after every sign of a namespace


class SqlSearch:
    """Looks for entities of a source; `SqlStore.search`. Every method raises `StoreError`."""

    def __init__(self, reading: Open) -> None:
        self._reading = reading

    async def named(self, source: str, name: str, kinds: Iterable[str], most: int) -> list[str]:
        """The entities of these kinds that have a name, in whatever namespace."""
        column = entities.c.mirror
        begins = [model_codec.mirrored(Ref(kind, "", name)) for kind in sorted(kinds)]
        fits = [and_(column >= begin, column < f"{begin}{_END}") for begin in begins]
        return await self._found(source, [or_(*fits)], most) if fits else []

    async def holding(self, source: str, texts: Collection[str], most: int) -> list[str]:
        """The entities whose JSON holds one of some texts of ASCII, upper and lower case alike.

        The database looks through all of them and gives those alone.
        """
        fits = (entities.c.body.icontains(text, autoescape=True) for text in texts)
        return await self._found(source, [or_(*fits)], most) if texts else []

    async def refs(self, source: str) -> list[str]:
        """The references of all entities, in their order."""
        return await self._found(source, (), None)

    async def pointing_at(self, source: str, ref: str, most: int) -> list[str]:
        """The first entities that refer to one, by any of its names, and perhaps some others."""
        async with self._reading(f"look for references in {source}") as connection:
            source_id = await source_id_of(connection, source)
            mine = names.c.source_id == source_id, names.c.ref == ref
            wanted = select(targets.c.ref).distinct()
            wanted = wanted.where(
                targets.c.source_id == source_id,
                targets.c.spelt.in_(select(names.c.name).where(*mine)),
            )
            found = await connection.execute(wanted.order_by(targets.c.ref).limit(most))
            return list(found.scalars())

    async def _found(self, source: str, fits: Sequence[Any], most: int | None) -> list[str]:
        async with self._reading(f"look for entities of {source}") as connection:
            source_id = await source_id_of(connection, source)
            wanted = select(entities.c.ref).where(entities.c.source_id == source_id, *fits)
            found = await connection.execute(wanted.order_by(entities.c.ref).limit(most))
            return list(found.scalars())

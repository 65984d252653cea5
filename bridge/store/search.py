"""Finds entities by what is known of them, without loading the others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from sqlalchemy import and_, or_, select

from bridge.model.entities import Ref
from bridge.model.problems import Problem
from bridge.store import model_codec, rows
from bridge.store.lease import Open
from bridge.store.sources import batched, source_id_of
from bridge.store.tables import entities, names, problems, projects, statements, targets

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

    async def of_projects(self, source: str, numbers: Collection[int]) -> list[str]:
        """The references that manifests of these projects speak of."""
        columns, found = statements.c, set[str]()
        async with self._reading(f"look for entities of {source}") as connection:
            source_id = await source_id_of(connection, source)
            for part in batched(numbers):
                mine = columns.source_id == source_id, columns.project_id.in_(part)
                found |= set((await connection.execute(select(columns.ref).where(*mine))).scalars())
        return sorted(found)

    async def speaking(self, source: str, refs: Collection[str]) -> set[int]:
        """The projects whose manifests speak of these references."""
        columns, found = statements.c, set[int]()
        async with self._reading(f"look for manifests of {source}") as connection:
            source_id = await source_id_of(connection, source)
            for part in batched(refs):
                mine = columns.source_id == source_id, columns.ref.in_(part)
                wanted = select(columns.project_id).where(*mine).distinct()
                found |= set((await connection.execute(wanted)).scalars())
        return found

    async def paths(self, source: str) -> dict[int, str]:
        """The paths of all projects in lower case, by their numbers."""
        async with self._reading(f"list the projects of {source}") as connection:
            source_id = await source_id_of(connection, source)
            wanted = select(projects.c.project_id, projects.c.path)
            mine = wanted.where(projects.c.source_id == source_id).order_by(projects.c.project_id)
            return {row.project_id: row.path for row in await connection.execute(mine)}

    async def problems(self, source: str) -> list[tuple[str, Problem]]:
        """All that is wrong, each with what it is about."""
        async with self._reading(f"list the problems of {source}") as connection:
            source_id = await source_id_of(connection, source)
            wanted = select(problems.c.about, problems.c.body)
            found = await connection.execute(wanted.where(problems.c.source_id == source_id))
            return [(row.about, rows.stored_problem(row.body)) for row in found]

    async def _found(self, source: str, fits: Sequence[Any], most: int | None) -> list[str]:
        async with self._reading(f"look for entities of {source}") as connection:
            source_id = await source_id_of(connection, source)
            wanted = select(entities.c.ref).where(entities.c.source_id == source_id, *fits)
            found = await connection.execute(wanted.order_by(entities.c.ref).limit(most))
            return list(found.scalars())

"""What is known of projects, as rows have it: of a source, by its number."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.model.memory import KnownProject, Memory
from bridge.store import rows
from bridge.store.sources import batched, parts_of
from bridge.store.tables import manifests, projects


async def memory_of(
    connection: AsyncConnection, source_id: int | None, ids: Collection[int]
) -> Memory:
    """What is known of these projects."""
    found_projects: dict[int, Any] = {}
    found_manifests: dict[Any, Any] = {}
    for part in batched(ids):
        found_projects |= await _projects(connection, source_id, part)
        wanted = select(*rows.manifest_columns).where(
            manifests.c.source_id == source_id, manifests.c.project_id.in_(part)
        )
        found = (await connection.execute(wanted)).all()
        found_manifests |= await asyncio.to_thread(rows.known_manifests, found)
    return Memory(found_projects, found_manifests)


async def marks_of(
    connection: AsyncConnection, source_id: int | None, ids: Collection[int]
) -> Mapping[int, tuple[KnownProject, Mapping[str, str]]]:
    """Of each of these projects what is known, with the fingerprints of its files."""
    found: dict[int, tuple[KnownProject, dict[str, str]]] = {}
    columns = manifests.c
    for part in batched(ids):
        known = await _projects(connection, source_id, part)
        found |= {number: (each, {}) for number, each in known.items()}
        wanted = select(columns.project_id, columns.file, columns.fingerprint).where(
            columns.source_id == source_id, columns.project_id.in_(part)
        )
        for row in await connection.execute(wanted):
            if row.project_id in found:
                found[row.project_id][1][row.file] = row.fingerprint
    return found


async def _projects(
    connection: AsyncConnection, source_id: int | None, part: Sequence[int]
) -> Mapping[int, KnownProject]:
    wanted = select(projects).where(
        projects.c.source_id == source_id, projects.c.project_id.in_(part)
    )
    return rows.known_projects((await connection.execute(wanted)).all())


async def ids(connection: AsyncConnection, source_id: int | None) -> AsyncIterator[list[int]]:
    """The ids of all projects, many at a time, in order."""
    wanted = select(projects.c.project_id).where(projects.c.source_id == source_id)
    async for part in parts_of(connection, wanted.order_by(projects.c.project_id)):
        yield [row.project_id for row in part]


async def gaps(connection: AsyncConnection, source_id: int | None) -> list[KnownProject]:
    """The projects that cannot be read as things stand, by id."""
    wanted = select(projects).where(projects.c.source_id == source_id, projects.c.gap_since > "")
    found = rows.known_projects((await connection.execute(wanted)).all())
    return [found[number] for number in sorted(found)]


async def in_groups(
    connection: AsyncConnection, source_id: int | None, groups: Collection[str]
) -> frozenset[int]:
    """The ids of the projects that lie in groups, named by their paths in lower case."""
    wanted = frozenset(groups)
    found: set[int] = set()
    # One look at all paths: defaults may change for a thousand groups at once.
    every = select(projects.c.project_id, projects.c.path).where(projects.c.source_id == source_id)
    async for part in parts_of(connection, every):
        found |= {row.project_id for row in part if not wanted.isdisjoint(_above(row.path))}
    return frozenset(found)


def _above(path: str) -> Iterator[str]:
    """The groups that a project lies in, by their paths."""
    while path := path.rpartition("/")[0]:
        yield path

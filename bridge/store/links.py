"""Where entities point, and the names that they go by."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.model.statements import StoredEntity
from bridge.store.entity_rows import NEAR, NEAR_AT_ONCE, near_bound
from bridge.store.sources import batched, remove_rows
from bridge.store.tables import entities, names, targets
from bridge.store.upsert import add_rows


async def point(connection: AsyncConnection, source_id: int, put: Sequence[StoredEntity]) -> None:
    """Replace where entities point."""
    for part in batched(put):
        refs = [str(each.entity.ref) for each in part]
        await connection.execute(
            delete(targets).where(targets.c.source_id == source_id, targets.c.ref.in_(refs))
        )
        made = [
            {
                "source_id": source_id,
                "ref": ref,
                "target": str(target)[:600],
                "spelt": str(spelt)[:600],
            }
            for ref, each in zip(refs, part, strict=True)
            for target, spelt in sorted(each.targets.items())
        ]
        await add_rows(connection, targets, made)


async def call(
    connection: AsyncConnection, source_id: int, put: Sequence[StoredEntity]
) -> set[str]:
    """Replace the names that entities go by; gives those that lead somewhere else now."""
    moved: set[str] = set()
    for part in batched(put):
        refs = [str(each.entity.ref) for each in part]
        before = await names_of(connection, source_id, refs)
        now = {
            (ref, rank, str(name)[:600])
            for ref, each in zip(refs, part, strict=True)
            for rank, name in each.names
        }
        gone, new = before - now, now - before
        moved |= {name for _, _, name in gone | new}
        keys = [(ref, rank, name) for ref, rank, name in sorted(gone)]
        await remove_rows(connection, names, source_id, keys)
        made = [
            {"source_id": source_id, "ref": ref, "rank": rank, "name": name}
            for ref, rank, name in sorted(new)
        ]
        await add_rows(connection, names, made)
    return moved


async def names_of(
    connection: AsyncConnection, source_id: int, refs: Sequence[str]
) -> set[tuple[str, int, str]]:
    """The names that these go by: reference, rank and name."""
    wanted = select(names.c.ref, names.c.rank, names.c.name).where(
        names.c.source_id == source_id, names.c.ref.in_(refs)
    )
    return {(row.ref, row.rank, row.name) for row in await connection.execute(wanted)}


async def missing(
    connection: AsyncConnection, source_id: int | None, refs: Collection[str]
) -> dict[str, set[str]]:
    """What these entities point at and is not there."""
    found: dict[str, set[str]] = {ref: set() for ref in refs}
    there = (
        select(entities.c.ref)
        .where(entities.c.source_id == source_id, entities.c.ref == targets.c.target)
        .exists()
    )
    for part in batched(refs):
        wanted = select(targets.c.ref, targets.c.target).where(
            targets.c.source_id == source_id, targets.c.ref.in_(part), ~there
        )
        for row in await connection.execute(wanted):
            found[row.ref].add(row.target)
    return found


async def put_right(
    connection: AsyncConnection, source_id: int | None, refs: Collection[str]
) -> set[str]:
    """Those of these entities whose references were put right."""
    found: set[str] = set()
    mine = entities.c.source_id == source_id, entities.c.merged.is_not(None)
    for part in batched(refs):
        wanted = select(entities.c.ref).where(*mine, entities.c.ref.in_(part))
        found.update((await connection.execute(wanted)).scalars())
    return found


async def alike(
    connection: AsyncConnection, source_id: int | None, refs: Collection[str], count: int
) -> dict[str, list[str]]:
    """For each reference the entities of its kind that begin or end most like it, sorted."""
    found: dict[str, set[str]] = {ref: set() for ref in refs}
    for part in batched(refs, NEAR_AT_ONCE):
        bound = near_bound(source_id, part, count)
        for row in await connection.execute(NEAR, bound):
            found[part[min(row.n, len(part) - 1)]].add(row.ref)
    return {ref: sorted(names) for ref, names in found.items()}


async def pointing_at(connection: AsyncConnection, source_id: int | None, spelt: str) -> list[str]:
    """The entities that refer to what is spelt so, in whatever spelling they were merged with."""
    wanted = select(targets.c.ref).where(
        targets.c.source_id == source_id, targets.c.spelt == spelt[:600]
    )
    found = await connection.execute(wanted.distinct().order_by(targets.c.ref))
    return [row.ref for row in found]


async def named(
    connection: AsyncConnection, source_id: int | None, names_: Collection[str]
) -> dict[tuple[int, str], list[str]]:
    """The entities that go by some names, by rank and name."""
    found: dict[tuple[int, str], list[str]] = {}
    for part in batched(names_):
        wanted = select(names).where(names.c.source_id == source_id, names.c.name.in_(part))
        for row in await connection.execute(wanted):
            found.setdefault((row.rank, row.name), []).append(row.ref)
    return found

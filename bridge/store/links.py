"""Where entities point, and the names that they go by."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.model.statements import StoredEntity
from bridge.store.sources import batched, remove_rows
from bridge.store.tables import names, targets
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

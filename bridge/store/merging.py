"""What merging gave, written: by who leads, or by another process for it."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.model.statements import Merged
from bridge.store import entity_changes as history
from bridge.store.entity_rows import merged_row
from bridge.store.links import call, point
from bridge.store.sources import batched
from bridge.store.stale import forget, note, note_needed, note_pointing_at
from bridge.store.standing import replace_problems
from bridge.store.tables import entities
from bridge.store.upsert import put_rows


async def write_merged(connection: AsyncConnection, source_id: int, done: Merged) -> None:
    """Write what merging gave, and note what is to be checked and rendered for it."""
    await forget(connection, source_id, done.stage, done.refs)
    await forget(connection, source_id, "gone", done.back)
    await note(connection, source_id, "gone", done.gone)
    await note(connection, source_id, "check", done.check)
    await note(connection, source_id, "render", (each.place for each in done.put))
    await history.note_before(connection, source_id, (str(e.entity.ref) for e in done.put))
    for part in batched(done.put):
        made = [merged_row(source_id, each) for each in part]
        await put_rows(connection, entities, made)
    if done.stage == "merge":
        # What others depend on may be made of them, or of nobody any more.
        await note(
            connection,
            source_id,
            "derive",
            [ref for ref in done.gone if ref.startswith("resource:")],
        )
        await note_needed(connection, source_id, done.refs)
    await point(connection, source_id, done.put)
    await note_needed(connection, source_id, [str(e.entity.ref) for e in done.put])
    moved = await call(connection, source_id, done.put)
    await note_pointing_at(connection, source_id, moved)
    await replace_problems(connection, source_id, done.problems)

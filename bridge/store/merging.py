"""What merging, removing and checking gave, written: by who leads, or by another process for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.model.problems import Problem
from bridge.model.statements import Checked, Merged
from bridge.model.todo import Todo
from bridge.store import entity_changes as history
from bridge.store.entity_rows import RELINK, merged_row, relinked
from bridge.store.links import call, names_of, point
from bridge.store.sources import batched
from bridge.store.stale import forget, note, note_needed, note_pointing_at
from bridge.store.standing import replace_problems
from bridge.store.tables import entities, names, targets
from bridge.store.upsert import put_rows


async def write_merged(connection: AsyncConnection, source_id: int, done: Merged) -> None:
    """Write what merging gave, and note what is to be checked and rendered for it."""
    await forget(connection, source_id, done.stage, done.refs)
    await forget(connection, source_id, Todo.GONE, done.back)
    await note(connection, source_id, Todo.GONE, done.gone)
    await note(connection, source_id, Todo.CHECK, done.check)
    await note(connection, source_id, Todo.RENDER, (each.place for each in done.put))
    await history.note_before(connection, source_id, (str(e.entity.ref) for e in done.put))
    for part in batched(done.put):
        made = [merged_row(source_id, each) for each in part]
        await put_rows(connection, entities, made)
    if done.stage == Todo.MERGE:
        # What others depend on may be made of them, or of nobody any more.
        await note(
            connection,
            source_id,
            Todo.DERIVE,
            [ref for ref in done.gone if ref.startswith("resource:")],
        )
        await note_needed(connection, source_id, done.refs)
    await point(connection, source_id, done.put)
    await note_needed(connection, source_id, [str(e.entity.ref) for e in done.put])
    moved = await call(connection, source_id, done.put)
    await note_pointing_at(connection, source_id, moved)
    await replace_problems(connection, source_id, done.problems)


async def write_removed(
    connection: AsyncConnection, source_id: int, refs: Sequence[str]
) -> Mapping[str, Sequence[Problem]]:
    """Remove entities, and note what is to be done for it; gives what is wrong no more."""
    await history.note_before(connection, source_id, refs)
    for part in batched(refs):
        mine = entities.c.source_id == source_id, entities.c.ref.in_(part)
        places = await connection.execute(select(entities.c.place).where(*mine))
        await note(connection, source_id, Todo.RENDER, [row.place for row in places])
        await connection.execute(delete(entities).where(*mine))
        await note_needed(connection, source_id, part)
        await connection.execute(
            delete(targets).where(targets.c.source_id == source_id, targets.c.ref.in_(part))
        )
        lost = await names_of(connection, source_id, part)
        await connection.execute(
            delete(names).where(names.c.source_id == source_id, names.c.ref.in_(part))
        )
        await note_pointing_at(connection, source_id, {name for _, _, name in lost})
    await forget(connection, source_id, Todo.GONE, refs)
    await forget(connection, source_id, Todo.CHECK, refs)
    about = [f"{what} {ref}" for ref in refs for what in ("entity", "links")]
    nothing: dict[str, Sequence[Problem]] = dict.fromkeys(about, ())
    await replace_problems(connection, source_id, nothing)
    return nothing


async def write_checked(connection: AsyncConnection, source_id: int, done: Checked) -> None:
    """Write what is wrong with the references of entities, and those that were put right."""
    await forget(connection, source_id, Todo.CHECK, done.refs)
    await note(connection, source_id, Todo.RENDER, (each.place for each in done.put))
    await history.note_before(connection, source_id, (str(e.entity.ref) for e in done.put))
    for part in batched(done.put):
        made = [relinked(source_id, each) for each in part]
        await connection.execute(RELINK, made)
    await replace_problems(connection, source_id, done.problems)

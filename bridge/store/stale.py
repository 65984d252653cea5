"""What is left to do: which items of which stage are to be looked at anew."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, bindparam, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.model.todo import Todo
from bridge.store.sources import batched
from bridge.store.tables import projects, stale, targets
from bridge.store.upsert import add_rows, insert_into

AT_ONCE: Final = 20_000  # items of one statement, which may take only so long: of a million, too

# The kinds of which entities are made where nobody describes one.
_MADE = targets.c.target.between("resource:", "resource;")


async def note(
    connection: AsyncConnection, source_id: int, stage: str, items: Iterable[str]
) -> None:
    """Note items in a stage; one that is noted already stays so."""
    for part in batched(sorted(set(items))):
        made = [{"source_id": source_id, "stage": stage, "item": item} for item in part]
        await add_rows(connection, stale, made)


async def note_from(
    connection: AsyncConnection, source_id: int, stage: str, items: Select[Any]
) -> None:
    """As `note`, of what a query gives."""
    inner = items.subquery()
    chosen = select(
        bindparam("for_source", source_id, projects.c.project_id.type),
        bindparam("for_stage", stage, stale.c.stage.type),
        inner.c[0],
    )
    # Others may note the same at once: in one order, so that none waits for one who waits for it.
    new = insert_into(connection, stale).from_select(
        ["source_id", "stage", "item"], chosen.order_by(inner.c[0])
    )
    await connection.execute(new.on_conflict_do_nothing())


async def note_all(
    connection: AsyncConnection,
    source_id: int,
    stage: str,
    column: ColumnElement[str],
    *where: ColumnElement[bool],
) -> None:
    """As `note`, of all that a column has where something holds, however much that is."""
    async for part in _parts(connection, column, where):
        await note_from(connection, source_id, stage, select(column).where(*part).distinct())


async def move(connection: AsyncConnection, source_id: int, stage: str, to: str) -> None:
    """Note in another stage what is noted in one, and in that no more."""
    mine = (stale.c.source_id == source_id, stale.c.stage == stage)
    async for part in _parts(connection, stale.c.item, mine):
        await note_from(connection, source_id, to, select(stale.c.item).where(*part))
        await connection.execute(delete(stale).where(*part))


async def _parts(
    connection: AsyncConnection,
    column: ColumnElement[str],
    where: Sequence[ColumnElement[bool]],
) -> AsyncIterator[Sequence[ColumnElement[bool]]]:
    """Conditions that together choose what `where` does, each `AT_ONCE` values of the column."""
    rest = where
    while True:
        next_ = select(column).where(*rest).distinct().order_by(column).limit(AT_ONCE).subquery()
        found = select(func.count(), func.max(next_.c[0]).label("last"))
        count, last = (await connection.execute(found)).one()
        if count:
            yield (*rest, column <= last)
        if count < AT_ONCE:
            return
        rest = (*where, column > last)


async def noted(
    connection: AsyncConnection, source_id: int | None, stage: str, items: Iterable[str]
) -> set[str]:
    """Those of some items that are noted in a stage."""
    found: set[str] = set()
    for part in batched(items):
        wanted = select(stale.c.item).where(
            stale.c.source_id == source_id, stale.c.stage == stage, stale.c.item.in_(part)
        )
        found |= set((await connection.execute(wanted)).scalars())
    return found


async def forget(
    connection: AsyncConnection, source_id: int, stage: str, items: Iterable[str]
) -> None:
    """Take items off a stage."""
    for part in batched(items):
        await connection.execute(
            delete(stale).where(
                stale.c.source_id == source_id, stale.c.stage == stage, stale.c.item.in_(part)
            )
        )


async def note_pointing_at(
    connection: AsyncConnection, source_id: int, names_: Iterable[str]
) -> None:
    """Whoever refers to one of these, in any spelling, has its references checked."""
    for part in batched(sorted(names_)):  # in one order, as in `note_from`
        pointing = (
            select(targets.c.ref)
            .where(targets.c.source_id == source_id, targets.c.spelt.in_(part))
            .distinct()
        )
        await note_from(connection, source_id, Todo.CHECK, pointing)
        needed = (
            select(targets.c.target)
            .where(targets.c.source_id == source_id, targets.c.spelt.in_(part), _MADE)
            .distinct()
        )
        await note_from(connection, source_id, Todo.DERIVE, needed)


async def note_needed(connection: AsyncConnection, source_id: int, refs: Iterable[str]) -> None:
    """What these refer to and may be made of them is looked at anew."""
    for part in batched(sorted(refs)):
        needed = (
            select(targets.c.target)
            .where(targets.c.source_id == source_id, targets.c.ref.in_(part), _MADE)
            .distinct()
        )
        await note_from(connection, source_id, Todo.DERIVE, needed)

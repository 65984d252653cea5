"""Whose rows: every table belongs to a source, known by a number."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Select, Table, bindparam, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.store.tables import sources
from bridge.store.upsert import insert_into

Item = TypeVar("Item")

CHUNK = 500  # rows encoded or decoded at once: bounds memory, lets other tasks have their turn


def source_name(source: str) -> str:
    """The name as a column can hold it."""
    # A folder's path may hold bytes that are no UTF-8 (PEP 383); a column cannot.
    return source.encode("utf-8", "backslashreplace").decode("utf-8")


async def source_id_of(connection: AsyncConnection, source: str) -> int | None:
    """The source's number; None when it was never saved."""
    wanted = select(sources.c.id).where(sources.c.name == source_name(source))
    return (await connection.execute(wanted)).scalar_one_or_none()


async def claim_source(connection: AsyncConnection, source: str) -> int:
    """The source's number; a second saver of the same source waits here for the first."""
    statement = insert_into(connection, sources).values(name=source_name(source))
    await connection.execute(statement.on_conflict_do_nothing(index_elements=["name"]))
    wanted = select(sources.c.id).where(sources.c.name == source_name(source)).with_for_update()
    number: int = (await connection.execute(wanted)).scalar_one()
    return number


def with_figures(text: str, more: Mapping[str, int]) -> str:
    """The figures of a source, as its row has them, with some added."""
    counts = Counter(json.loads(text))
    counts.update(more)
    return json.dumps({name: count for name, count in sorted(counts.items()) if count})


async def parts_of(
    connection: AsyncConnection, wanted: Select[Any], size: int = CHUNK
) -> AsyncIterator[Sequence[Any]]:
    """The rows of a query, so many at a time."""
    result = await connection.stream(wanted)
    async for part in result.partitions(size):
        yield part


def batched(items: Iterable[Item], size: int = CHUNK) -> Iterator[list[Item]]:
    """The items, so many at a time."""
    part: list[Item] = []
    for item in items:
        part.append(item)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


async def remove_rows(
    connection: AsyncConnection, table: Table, source_id: int, gone: Sequence[tuple[Any, ...]]
) -> None:
    """Delete rows by the rest of their primary keys."""
    names = [column.name for column in table.primary_key.columns]
    statement = delete(table).where(*(table.c[name] == bindparam(f"b_{name}") for name in names))
    for part in batched(gone):
        bound = [
            {f"b_{name}": value for name, value in zip(names, (source_id, *key), strict=True)}
            for key in part
        ]
        await connection.execute(statement, bound)

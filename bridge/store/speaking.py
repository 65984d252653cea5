"""What is said of entities, as rows have it: all of one entity together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from itertools import groupby

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.model.statements import Statement
from bridge.store import rows
from bridge.store.sources import batched, parts_of
from bridge.store.tables import statements


async def of(
    connection: AsyncConnection, source_id: int | None, refs: Collection[str]
) -> Mapping[str, list[Statement]]:
    """All that is said of these references, each in the order of `Statement.place`."""
    found: dict[str, list[Statement]] = {}
    for part in batched(refs):
        wanted = select(statements).where(
            statements.c.source_id == source_id, statements.c.ref.in_(part)
        )
        # A few at a time: thousands of manifests may speak of the same systems.
        async for some in parts_of(connection, wanted):
            for row in some:
                found.setdefault(row.ref, []).append(rows.stored_statement(row))
    for said in found.values():
        said.sort(key=lambda each: each.place)
    return found


async def of_kind(
    connection: AsyncConnection, source_id: int | None, kind: str
) -> AsyncIterator[list[Statement]]:
    """All that is said of each entity of a kind, one entity after the other, by reference."""
    column = statements.c.ref
    ordered = column.collate("C") if connection.dialect.name == "postgresql" else column
    wanted = select(statements).where(
        statements.c.source_id == source_id, ordered >= f"{kind}:", ordered < f"{kind};"
    )
    held: list[Statement] = []
    async for part in parts_of(connection, wanted.order_by(ordered)):
        for _, found in groupby(map(rows.stored_statement, part), lambda each: each.ref):
            said = list(found)
            if held and held[0].ref != said[0].ref:
                yield sorted(held, key=lambda each: each.place)
                held = []
            held += said
    if held:
        yield sorted(held, key=lambda each: each.place)

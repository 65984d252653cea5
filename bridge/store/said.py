"""What manifests say, replaced: whatever is said otherwise than before is noted."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.model.statements import Statement, Taken
from bridge.store import model_codec
from bridge.store.sources import CHUNK, batched, remove_rows
from bridge.store.stale import note
from bridge.store.tables import problems, statements
from bridge.store.upsert import put_rows


async def say(connection: AsyncConnection, source_id: int, taken: Taken, lane: str) -> None:
    """Replace what manifests say, and note the references of which something else is said."""
    changed: set[str] = set()
    moved: set[str] = set()
    for keys in batched(taken.statements):
        said = [each for key in keys for each in taken.statements[key]]
        now = await asyncio.to_thread(_statement_rows, source_id, said)
        before = await _said_before(connection, source_id, set(keys))
        put = []
        for row in now:
            old = before.pop(_key(row), None)
            if old is None or old.digest != row["digest"]:
                changed.add(row["ref"])
            elif (old.line, old.col, old.places) != (row["line"], row["col"], row["places"]):
                moved.add(row["ref"])
            elif old.oid == row["oid"]:
                continue
            put.append(row)
        gone = list(before)
        changed |= {key[0] for key in gone}
        await remove_rows(connection, statements, source_id, gone)
        if put:
            await put_rows(connection, statements, put)
    # Where a statement stands is told in problems alone.
    changed |= await _with_problems(connection, source_id, moved - changed)
    await note(connection, source_id, lane, sorted(changed))


def _statement_rows(source_id: int, said: Sequence[Statement]) -> list[dict[str, Any]]:
    return [model_codec.statement_row(source_id, each) for each in said]


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["ref"], row["project_id"], row["file"], row["n"]


_statement_key: Final = tuple(column.name for column in statements.primary_key.columns)


async def _said_before(
    connection: AsyncConnection, source_id: int, keys: set[tuple[int, str]]
) -> dict[tuple[Any, ...], Any]:
    # The index of projects knows only keys. Asked for whole rows, SQLite would sooner read all.
    keyed, columns = statements.alias("keyed"), statements.c
    same = and_(*(keyed.c[name] == columns[name] for name in _statement_key))
    wanted = (
        select(
            *(columns.ref, columns.project_id, columns.file, columns.n),
            *(columns.digest, columns.line, columns.col, columns.places, columns.oid),
        )
        .select_from(keyed.join(statements, same))
        .where(keyed.c.source_id == source_id, keyed.c.project_id.in_({key[0] for key in keys}))
    )
    return {
        (row.ref, row.project_id, row.file, row.n): row
        for row in await connection.execute(wanted)
        if (row.project_id, row.file) in keys
    }


async def _with_problems(
    connection: AsyncConnection, source_id: int, refs: Collection[str]
) -> set[str]:
    found: set[str] = set()
    for part in batched(refs, CHUNK // 2):
        about = [f"{what} {ref}" for ref in part for what in ("entity", "links")]
        wanted = select(problems.c.about).where(
            problems.c.source_id == source_id, problems.c.about.in_(about)
        )
        found |= {row.about.partition(" ")[2] for row in await connection.execute(wanted)}
    return found

"""What was read of repositories besides their manifests: at which commit, and the texts."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.model.reads import KeptReads, KnownReads, ReadFile, ReadKind, Reads
from bridge.store import codec, rows
from bridge.store.sources import CHUNK
from bridge.store.tables import blobs, reads
from bridge.store.upsert import insert_into, replace_into

Reading: TypeAlias = Callable[
    [str, str], AbstractAsyncContextManager[tuple[AsyncConnection, int | None]]
]
Changing: TypeAlias = Callable[
    [str, int, Mapping[str, int]], AbstractAsyncContextManager[tuple[AsyncConnection, int]]
]


class SqlReads:
    """A `bridge.ports.ReadStore`; `reading` and `changing` are those of the model that it is of."""

    def __init__(self, reading: Reading, changing: Changing) -> None:
        self._reading = reading
        self._changing = changing

    async def known(self, source: str, ids: Sequence[int]) -> Mapping[int, KnownReads]:
        """What was read of projects; those of which nothing was are left out."""
        found: dict[int, KnownReads] = {}
        async with self._reading(source, "look at what was read of") as (connection, source_id):
            for start in range(0, len(ids), CHUNK):
                wanted = select(reads).where(
                    reads.c.source_id == source_id,
                    reads.c.project_id.in_(ids[start : start + CHUNK]),
                )
                for row in await connection.execute(wanted):
                    found[row.project_id] = KnownReads(row.tip, row.key, _reads(row))
        return found

    async def marks(self, source: str, ids: Sequence[int]) -> Mapping[int, tuple[str, str]]:
        """Of projects the commit that was read, and the key of what was wanted."""
        found: dict[int, tuple[str, str]] = {}
        columns = reads.c
        async with self._reading(source, "look at what was read of") as (connection, source_id):
            for start in range(0, len(ids), CHUNK):
                wanted = select(columns.project_id, columns.tip, columns.key).where(
                    columns.source_id == source_id,
                    columns.project_id.in_(ids[start : start + CHUNK]),
                )
                for row in await connection.execute(wanted):
                    found[row.project_id] = row.tip, row.key
        return found

    async def texts(self, source: str, project_id: int, oids: Collection[str]) -> Mapping[str, str]:
        """The texts of some blobs of a project, as far as they are there."""
        mine = blobs.c.project_id == project_id
        return await self._texts(source, oids, mine)

    async def text(self, source: str, oid: str) -> str | None:
        """The text of a blob, of whatever project."""
        return (await self._texts(source, [oid])).get(oid)

    async def _texts(self, source: str, oids: Collection[str], *mine: Any) -> dict[str, str]:
        found: dict[str, str] = {}
        async with self._reading(source, "load what was read of") as (connection, source_id):
            wanted = select(blobs.c.oid, blobs.c.body).where(
                blobs.c.source_id == source_id, blobs.c.oid.in_(list(oids)), *mine
            )
            for row in await connection.execute(wanted):
                if row.oid not in found:
                    found[row.oid] = await asyncio.to_thread(_text, row)
        return found

    async def keep(self, source: str, edition: int, kept: Sequence[KeptReads]) -> int:
        """Keep what was read of some projects, in place of what was before.

        Gives the next edition. Raises `StoreConflict` when `edition` is not the latest.
        """
        async with self._changing(source, edition, {}) as (connection, source_id):
            for each in kept:
                await _keep(connection, source_id, each)
        return edition + 1


async def _keep(connection: AsyncConnection, source_id: int, kept: KeptReads) -> None:
    mine = reads.c.source_id == source_id, reads.c.project_id == kept.project_id
    stay = {file.oid for file in kept.reads.files.values() if file.kept or file.text is not None}
    if kept.key:
        row: dict[str, Any] = {"source_id": source_id, "project_id": kept.project_id}
        row |= {"tip": kept.tip, "key": kept.key, "body": _packed(kept.reads)}
        await connection.execute(replace_into(connection, reads), [row])
    else:
        stay = set()
        await connection.execute(delete(reads).where(*mine))
    theirs = blobs.c.source_id == source_id, blobs.c.project_id == kept.project_id
    there = {row.oid for row in await connection.execute(select(blobs.c.oid).where(*theirs))}
    gone = sorted(there - stay - kept.needed)
    for start in range(0, len(gone), CHUNK):
        part = gone[start : start + CHUNK]
        await connection.execute(delete(blobs).where(*theirs, blobs.c.oid.in_(part)))
    new = {
        file.oid: file.text
        for file in kept.reads.files.values()
        if file.text is not None and file.oid not in there
    }
    for oid, text in sorted(new.items()):
        body = await asyncio.to_thread(_compressed, text)
        made = {
            "source_id": source_id,
            "project_id": kept.project_id,
            "oid": oid,
            "body": body,
        }
        await connection.execute(insert_into(connection, blobs).on_conflict_do_nothing(), [made])


def _packed(found: Reads) -> bytes:
    tree = [
        [
            *(file.path, file.kind.value, file.oid, file.size, file.refused, file.nearest),
            *(file.manifest, file.kept or file.text is not None),
        ]
        for _, file in sorted(found.files.items())
    ]
    return codec.pack(json.dumps(tree))


def _reads(row: Any) -> Reads:
    found: dict[str, ReadFile] = {}
    try:
        for path, kind, oid, size, refused, nearest, manifest, kept in json.loads(
            codec.unpack(row.body)
        ):
            found[path] = ReadFile(
                path, ReadKind(kind), oid, size, None, refused, manifest, kept, nearest
            )
    except (ValueError, TypeError) as error:
        what = f"what was read of project {row.project_id} (table fester_reads)"
        raise rows.unreadable(what, codec.Undecodable(str(error))) from error
    return Reads(found)


def _compressed(text: str) -> bytes:
    return zlib.compress(text.encode("utf-8", "surrogatepass"), level=1)


def _text(row: Any) -> str:
    try:
        return zlib.decompress(row.body).decode("utf-8", "surrogatepass")
    except (zlib.error, UnicodeDecodeError) as error:
        what = f"the text {row.oid} (table fester_blobs)"
        raise rows.unreadable(what, codec.Undecodable(str(error))) from error

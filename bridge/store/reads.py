"""What was read of repositories besides their manifests: at which commit, and the texts."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

from sqlalchemy import Select, Table, bindparam, delete, select, union
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.model.compression import compressed
from bridge.model.reads import KeptReads, KnownReads, ReadFile, ReadKind, Reads
from bridge.store import codec, rows
from bridge.store.sources import batched
from bridge.store.tables import blobs, projects, reads
from bridge.store.upsert import add_rows, put_rows

Reading: TypeAlias = Callable[
    [str, str], AbstractAsyncContextManager[tuple[AsyncConnection, int | None]]
]
Changing: TypeAlias = Callable[
    [str, int, Mapping[str, int]], AbstractAsyncContextManager[tuple[AsyncConnection, int]]
]

_ADOPTED = "adopted"  # the key of a project of which nothing was read yet: the next one differs


class SqlReads:
    """A `bridge.ports.ReadStore`; `reading` and `changing` are those of `Editions`."""

    def __init__(self, reading: Reading, changing: Changing) -> None:
        self._reading = reading
        self._changing = changing

    async def known(self, source: str, ids: Sequence[int]) -> Mapping[int, KnownReads]:
        """What was read of projects; those of which nothing was are left out."""
        found: dict[int, KnownReads] = {}
        async with self._reading(source, "look at what was read of") as (connection, source_id):
            for part in batched(ids):
                wanted = select(reads).where(
                    reads.c.source_id == source_id, reads.c.project_id.in_(part)
                )
                for row in await connection.execute(wanted):
                    found[row.project_id] = KnownReads(row.tip, row.key, _reads(row))
        return found

    async def marks(self, source: str, ids: Sequence[int]) -> Mapping[int, tuple[str, str]]:
        """Of projects the commit that was read, and the key of what was wanted."""
        found: dict[int, tuple[str, str]] = {}
        columns = reads.c
        async with self._reading(source, "look at what was read of") as (connection, source_id):
            for part in batched(ids):
                wanted = select(columns.project_id, columns.tip, columns.key).where(
                    columns.source_id == source_id, columns.project_id.in_(part)
                )
                for row in await connection.execute(wanted):
                    found[row.project_id] = row.tip, row.key
        return found

    async def texts(self, source: str, project_id: int, oids: Collection[str]) -> Mapping[str, str]:
        """The texts of some blobs of a project, as far as they are there."""
        mine = blobs.c.project_id == project_id
        return await self._texts(source, oids, mine)

    async def texts_of(self, source: str, ids: Collection[int]) -> Mapping[str, str]:
        """All texts that are kept of some projects.

        Not asked for by blob: many projects may have the same one.
        """
        found: dict[str, Any] = {}
        async with self._reading(source, "load what was read of") as (connection, source_id):
            for part in batched(ids):
                wanted = select(blobs.c.oid, blobs.c.body).where(
                    blobs.c.source_id == source_id, blobs.c.project_id.in_(part)
                )
                found |= {row.oid: row for row in await connection.execute(wanted)}
        return await asyncio.to_thread(_unpacked, found)

    async def anybodys(self, source: str, oids: Collection[str]) -> Mapping[str, str]:
        """The texts of some blobs, of whatever project, as far as they are there."""
        return await self._texts(source, oids) if oids else {}

    async def _texts(self, source: str, oids: Collection[str], *mine: Any) -> dict[str, str]:
        found: dict[str, Any] = {}
        async with self._reading(source, "load what was read of") as (connection, source_id):
            for part in batched(oids):
                wanted = select(blobs.c.oid, blobs.c.body).where(
                    blobs.c.source_id == source_id, blobs.c.oid.in_(part), *mine
                )
                found |= {row.oid: row for row in await connection.execute(wanted)}
        return await asyncio.to_thread(_unpacked, found)

    async def keep(self, source: str, edition: int, kept: Sequence[KeptReads]) -> int:
        """Keep what was read of some projects, in place of what was before.

        Gives the next edition. Raises `StoreConflict` when `edition` is not the latest.
        """
        async with self._changing(source, edition, {}) as (connection, source_id):
            for part in batched(kept):
                await _keep(connection, source_id, {each.project_id: each for each in part})
        return edition + 1

    async def strangers(self, source: str) -> frozenset[int]:
        """The ids of projects that are not known, and of which something is kept."""
        async with self._reading(source, "look at what was read of") as (connection, source_id):
            wanted = union(*(_unknown(table, source_id) for table in (reads, blobs)))
            return frozenset(row.project_id for row in await connection.execute(wanted))

    async def forget(self, source: str, edition: int, ids: Collection[int]) -> int:
        """Keep nothing of some projects. Gives the next edition, or raises `StoreConflict`."""
        async with self._changing(source, edition, {}) as (connection, source_id):
            await forget_reads(connection, source_id, ids)
        return edition + 1

    async def adopt(self, source: str, edition: int, texts: Sequence[tuple[int, str, str]]) -> int:
        """Keep texts of blobs, each (project, object id, text), until their projects are read
        again. Gives the next edition. Raises `StoreConflict` when `edition` is not the latest.
        """
        async with self._changing(source, edition, {}) as (connection, source_id):
            projects = sorted({project_id for project_id, _, _ in texts})
            begun = [KeptReads(number, "", _ADOPTED, Reads()) for number in projects]
            made = _read_rows(source_id, begun)
            await add_rows(connection, reads, made)
            new = await asyncio.to_thread(_text_rows, source_id, texts)
            await add_rows(connection, blobs, new)
        return edition + 1


def _unknown(table: Table, source_id: int | None) -> Select[tuple[int]]:
    known = select(projects.c.project_id).where(
        projects.c.source_id == source_id, projects.c.project_id == table.c.project_id
    )
    return select(table.c.project_id).where(table.c.source_id == source_id, ~known.exists())


async def forget_reads(connection: AsyncConnection, source_id: int, ids: Collection[int]) -> None:
    """Keep nothing of what was read of some projects."""
    for part in batched(ids):
        for table in (reads, blobs):
            theirs = table.c.source_id == source_id, table.c.project_id.in_(part)
            await connection.execute(delete(table).where(*theirs))


async def _keep(connection: AsyncConnection, source_id: int, kept: Mapping[int, KeptReads]) -> None:
    """Keep what was read of some projects, by their ids."""
    nothing = [number for number, each in kept.items() if not each.key]
    if nothing:
        theirs = reads.c.source_id == source_id, reads.c.project_id.in_(nothing)
        await connection.execute(delete(reads).where(*theirs))
    made = await asyncio.to_thread(_read_rows, source_id, kept.values())
    if made:
        await put_rows(connection, reads, made)
    there = await _blobs_there(connection, source_id, list(kept))
    gone = [
        {"b_project": number, "b_oid": oid}
        for number, oids in there.items()
        for oid in sorted(oids - _wanted_of(kept[number]) - kept[number].needed)
    ]
    if gone:
        columns = blobs.c
        await connection.execute(
            delete(blobs).where(
                columns.source_id == source_id,
                columns.project_id == bindparam("b_project"),
                columns.oid == bindparam("b_oid"),
            ),
            gone,
        )
    new = await asyncio.to_thread(_blob_rows, source_id, kept.values(), there)
    if new:
        await add_rows(connection, blobs, new)


async def _blobs_there(
    connection: AsyncConnection, source_id: int, ids: Sequence[int]
) -> dict[int, set[str]]:
    """Of projects the ids of the blobs that are kept."""
    found: dict[int, set[str]] = {}
    wanted = select(blobs.c.project_id, blobs.c.oid).where(
        blobs.c.source_id == source_id, blobs.c.project_id.in_(ids)
    )
    for row in await connection.execute(wanted):
        found.setdefault(row.project_id, set()).add(row.oid)
    return found


def _wanted_of(kept: KeptReads) -> set[str]:
    """The blobs whose texts are to stay; none where nothing is wanted any more."""
    files = kept.reads.files.values() if kept.key else ()
    return {file.oid for file in files if file.kept or file.text is not None}


def _read_rows(source_id: int, kept: Iterable[KeptReads]) -> list[dict[str, Any]]:
    return [
        {
            "source_id": source_id,
            "project_id": each.project_id,
            "tip": each.tip,
            "key": each.key,
            "body": _packed(each.reads),
        }
        for each in kept
        if each.key
    ]


def _blob_rows(
    source_id: int, kept: Iterable[KeptReads], there: Mapping[int, Collection[str]]
) -> list[dict[str, Any]]:
    """Rows of the texts that are new, each once."""
    new = {
        (each.project_id, file.oid): file.text
        for each in kept
        for file in each.reads.files.values()
        if file.text is not None and file.oid not in there.get(each.project_id, ())
    }
    texts = [(number, oid, text) for (number, oid), text in sorted(new.items())]
    return _text_rows(source_id, texts)


def _text_rows(source_id: int, texts: Iterable[tuple[int, str, str]]) -> list[dict[str, Any]]:
    return [
        {"source_id": source_id, "project_id": number, "oid": oid, "body": _compressed(text)}
        for number, oid, text in texts
    ]


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
    return compressed(text.encode("utf-8", "surrogatepass"))


def _unpacked(found: Mapping[str, Any]) -> dict[str, str]:
    return {oid: _text(row) for oid, row in found.items()}


def _text(row: Any) -> str:
    try:
        return zlib.decompress(row.body).decode("utf-8", "surrogatepass")
    except (zlib.error, UnicodeDecodeError) as error:
        what = f"the text {row.oid} (table fester_blobs)"
        raise rows.unreadable(what, codec.Undecodable(str(error))) from error

"""The history of entities. How one was is noted with its first change in a pass; at the pass's end
the two are compared, so that what changed back in between is no change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.model.entities import CatalogEntity, ref_of
from bridge.model.entity_changes import (
    ChangedManifest,
    ChangeKind,
    ChangeQuery,
    EntityChange,
    FieldChange,
    change_of,
)
from bridge.model.statements import HistoryStep
from bridge.store import model_codec
from bridge.store.codec import Undecodable
from bridge.store.lease import Open
from bridge.store.moments import microseconds, moment_of
from bridge.store.rows import unreadable
from bridge.store.sources import CHUNK, claim_source, source_id_of, source_name
from bridge.store.tables import before, entities, entity_changes, sources
from bridge.store.upsert import insert_into


async def note_before(connection: AsyncConnection, source_id: int, refs: Iterable[str]) -> None:
    """Note how these entities are, where it is not noted yet."""
    wanted = list(refs)
    passes = select(sources.c.passes).where(sources.c.id == source_id)
    if not wanted or not (await connection.execute(passes)).scalar_one():
        return  # of a first pass nothing is recorded
    for start in range(0, len(wanted), CHUNK):
        part = wanted[start : start + CHUNK]
        mine = entities.c.source_id == source_id, entities.c.ref.in_(part)
        noted = select(before.c.ref).where(
            before.c.source_id == source_id, before.c.ref == entities.c.ref
        )
        there = select(entities.c.source_id, entities.c.ref, entities.c.body)
        await connection.execute(
            insert(before).from_select(
                ["source_id", "ref", "body"], there.where(*mine, ~noted.exists())
            )
        )
        rows = [{"source_id": source_id, "ref": ref, "body": None} for ref in part]
        fresh = insert_into(connection, before).values(rows)
        await connection.execute(fresh.on_conflict_do_nothing())


async def record(connection: AsyncConnection, source_id: int, step: HistoryStep) -> None:
    """Compare what was noted with what is, record what differs, and forget what is old."""
    joined = and_(entities.c.source_id == before.c.source_id, entities.c.ref == before.c.ref)
    wanted = (
        select(before.c.ref, before.c.body.label("old"), entities.c.body.label("new"))
        .select_from(before.outerjoin(entities, joined))
        .where(before.c.source_id == source_id)
        .order_by(before.c.ref)
        .limit(CHUNK)
    )
    while found := (await connection.execute(wanted)).all():
        made = await asyncio.to_thread(_rows, source_id, found, step.at) if step.keep else []
        if made:
            await connection.execute(entity_changes.insert(), made)
        mine = before.c.source_id == source_id, before.c.ref.in_([row.ref for row in found])
        await connection.execute(delete(before).where(*mine))
    old = entity_changes.c.at < microseconds(step.oldest)
    await connection.execute(
        delete(entity_changes).where(entity_changes.c.source_id == source_id, old)
    )


def _rows(source_id: int, found: Sequence[Any], at: datetime) -> list[dict[str, Any]]:
    changes = (change_of(ref_of(e.ref), _entity(e, e.old), _entity(e, e.new), at) for e in found)
    return [row_of(source_id, each) for each in changes if each is not None]


def _entity(row: Any, text: str | None) -> CatalogEntity | None:
    try:
        return model_codec.entity(row.ref, text) if text is not None else None
    except Undecodable as error:
        raise unreadable(f"the entity {row.ref}", error) from error


def row_of(source_id: int, change: EntityChange) -> dict[str, Any]:
    """A change as the table has it; its number is the table's."""
    about = {f"owner {each}" for each in (change.owner, change.owner_before) if each}
    about |= {f"project {each.project.lower()}" for each in change.manifests}
    body = {
        "title": change.title,
        "owner": change.owner,
        "owner_before": change.owner_before,
        "manifests": [asdict(each) for each in change.manifests],
        "fields": [asdict(each) for each in change.fields],
        "left_out": change.left_out,
    }
    return {
        "source_id": source_id,
        "at": microseconds(change.at),
        "ref": str(change.ref),
        "kind": change.kind.value,
        # As JSON: PostgreSQL's text cannot hold everything that a path may hold.
        "about": model_codec.dumped(sorted(about)),
        "body": model_codec.dumped(body),
    }


class SqlEntityChanges:
    """The history; get one from `SqlStore.entity_changes`."""

    def __init__(self, writing: Open, reading: Open) -> None:
        self._writing = writing
        self._reading = reading

    async def add(self, source: str, changes: Sequence[EntityChange]) -> None:
        """Add changes that no pass found, oldest first. Raises `StoreError`."""
        async with self._writing(f"add changes of {source}") as connection:
            number = await claim_source(connection, source)
            rows = [row_of(number, each) for each in changes]
            if rows:
                await connection.execute(entity_changes.insert(), rows)

    async def find(self, source: str, query: ChangeQuery) -> list[EntityChange]:
        """The changes that a query asks for, newest first. Raises `StoreError`."""
        columns = entity_changes.c
        fits: list[ColumnElement[bool]] = []
        if query.refs:
            fits.append(columns.ref.in_(query.refs))
        if query.entity_kind:
            fits.append(columns.ref.between(f"{query.entity_kind}:", f"{query.entity_kind};"))
        for what, name in (("owner", query.owner), ("project", query.project.lower())):
            if name:
                text = model_codec.dumped(f"{what} {source_name(name)}")
                fits.append(columns.about.contains(text, autoescape=True))
        if query.kind:
            fits.append(columns.kind == query.kind)
        if query.since is not None:
            fits.append(columns.at >= microseconds(query.since))
        if query.until is not None:
            fits.append(columns.at < microseconds(query.until))
        if query.below is not None:
            fits.append(columns.id < query.below)
        if query.above is not None:
            fits.append(columns.id > query.above)
        order = columns.id if query.oldest_first else columns.id.desc()
        async with self._reading(f"load what changed in {source}") as connection:
            number = await source_id_of(connection, source)
            wanted = select(entity_changes).where(columns.source_id == number, *fits)
            found = await connection.execute(wanted.order_by(order).limit(query.limit))
            return [_change(row) for row in found]


def _change(row: Any) -> EntityChange:
    try:
        tree: Mapping[str, Any] = model_codec.loaded(row.body)
        return EntityChange(
            ref_of(row.ref),
            ChangeKind(row.kind),
            moment_of(row.at),
            tree["title"],
            tree["owner"],
            tree["owner_before"],
            tuple(ChangedManifest(**each) for each in tree["manifests"]),
            tuple(FieldChange(**each) for each in tree["fields"]),
            tree["left_out"],
            row.id,
        )
    except (Undecodable, KeyError, TypeError, ValueError) as error:
        raise unreadable(f"a change of {row.ref} (table fester_entity_changes)", error) from error

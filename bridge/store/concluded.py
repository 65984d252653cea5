"""The end of a pass, written: its files, its report, and how far the source is known now."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Final

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.model.runs import Report
from bridge.model.statements import Concluded
from bridge.model.todo import Todo
from bridge.store import entity_changes as history
from bridge.store import model_codec, rows
from bridge.store.codec import encode_horizon
from bridge.store.sources import batched, remove_rows
from bridge.store.tables import files, passes, sources, stale
from bridge.store.upsert import put_rows

PASSES_KEPT: Final = 200
_FILES_AT_ONCE: Final = 10


async def write_concluded(
    connection: AsyncConnection, source_id: int, done: Concluded, saved_at: datetime
) -> None:
    """Make the files of a pass the published ones, and its report that of the latest pass."""
    await remove_rows(connection, files, source_id, [(path,) for path in done.gone])
    for part in batched(done.put, _FILES_AT_ONCE):
        made = [
            model_codec.file_row(source_id, artifact, digest, count)
            for artifact, digest, count in part
        ]
        await put_rows(connection, files, made)
    if not done.unpublished:
        await connection.execute(
            delete(stale).where(stale.c.source_id == source_id, stale.c.stage == Todo.RENDER)
        )
    if done.history is not None:
        await history.record(connection, source_id, done.history)
    await _add_pass(connection, source_id, done.report, saved_at)
    values = {"passes": done.horizon.passes, "horizon": encode_horizon(done.horizon)}
    await connection.execute(update(sources).where(sources.c.id == source_id).values(values))


async def _add_pass(
    connection: AsyncConnection, source_id: int, report: Report, saved_at: datetime
) -> None:
    row = {
        "source_id": source_id,
        "saved_at": saved_at.isoformat(),
        "outcome": report.outcome.value,
        "report": await asyncio.to_thread(rows.packed_report, report),
    }
    await connection.execute(passes.insert(), [row])
    mine = passes.c.source_id == source_id
    kept = select(passes.c.id).where(mine).order_by(passes.c.id.desc()).limit(PASSES_KEPT)
    oldest = select(func.min(kept.subquery().c.id)).scalar_subquery()
    await connection.execute(delete(passes).where(mine, passes.c.id < oldest))

"""What a part of a scrape changed, written."""

from __future__ import annotations

import asyncio

from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.model.statements import Taken
from bridge.store import rows
from bridge.store.reads import forget_reads
from bridge.store.said import say
from bridge.store.sources import batched, remove_rows
from bridge.store.standing import replace_problems
from bridge.store.tables import manifests, projects
from bridge.store.upsert import put_rows


async def write_taken(connection: AsyncConnection, source_id: int, taken: Taken, lane: str) -> None:
    """Write what changed, and note in `lane` which entities are to be merged anew."""
    gone = [(number,) for number in taken.gone_projects]
    await remove_rows(connection, projects, source_id, gone)
    await _forget_reads(connection, source_id, taken)
    await remove_rows(connection, manifests, source_id, taken.gone_manifests)
    for part in batched(taken.projects):
        made = await asyncio.to_thread(rows.project_rows, source_id, part)
        await put_rows(connection, projects, made)
    for known in batched(taken.manifests):
        made = await asyncio.to_thread(rows.manifest_rows, source_id, known)
        await put_rows(connection, manifests, made)
    await say(connection, source_id, taken, lane)
    await replace_problems(connection, source_id, taken.problems)


async def _forget_reads(connection: AsyncConnection, source_id: int, taken: Taken) -> None:
    """Projects that are gone or left out have nothing read of them any more."""
    out = [each.project.id for each in taken.projects if each.left_out]
    await forget_reads(connection, source_id, [*taken.gone_projects, *out])

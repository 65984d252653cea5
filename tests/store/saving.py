"""Makes a store hold what a test wants it to hold, by the writes that passes make."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

from bridge.errors import StoreConflict
from bridge.exporters.render import place_of
from bridge.model.entity_changes import EntityChange
from bridge.model.memory import Memory, PassRecord
from bridge.model.statements import (
    Concluded,
    HistoryStep,
    Merged,
    StoredEntity,
    Taken,
    entity_digest,
)
from bridge.store import SqlStore
from bridge.store.entity_changes import record as forget_old
from bridge.store.entity_changes import row_of
from bridge.store.sources import claim_source
from bridge.store.tables import entity_changes

Key = TypeVar("Key")
Value = TypeVar("Value")


def taken(before: Memory, after: Memory) -> Taken:
    """What is to be written so that `before` becomes `after`."""
    return Taken(
        _changed(before.projects, after.projects),
        [key for key in before.projects if key not in after.projects],
        _changed(before.manifests, after.manifests),
        [key for key in before.manifests if key not in after.manifests],
    )


def _changed(before: Mapping[Key, Value], after: Mapping[Key, Value]) -> list[Value]:
    return [value for key, value in after.items() if before.get(key) != value]


async def save(
    store: SqlStore, source: str, before: Memory, after: Memory, record: PassRecord | None
) -> None:
    """What a pass does that found `after` where `before` was: it takes, merges and concludes."""
    model = store.model
    state = await model.state(source)
    if state.horizon.passes != before.horizon.passes:
        raise StoreConflict("somebody else saved a pass")
    edition = state.edition
    if changes := taken(before, after):
        edition = await model.take(source, edition, changes, "merge")
    if record is None:
        return
    there = await model.digests(source)
    put = [
        StoredEntity(each, entity_digest(each), place_of(str(each.ref)), each)
        for each in record.catalog.entities
    ]
    now = {str(each.entity.ref): each for each in put}
    gone = [ref for ref in there if ref not in now]
    edition = await model.remove(source, edition, gone, Counter())
    new = [each for each in put if there.get(str(each.entity.ref)) != each.digest]
    edition = await model.merged(source, edition, Merged(list(now), new))
    await model.conclude(source, edition, Concluded(record.report, after.horizon))


async def changed(store: SqlStore, source: str, *changes: EntityChange) -> None:
    """Note what changed, as the end of a pass does."""
    async with store._writing("note what changed") as connection:
        number = await claim_source(connection, source)
        rows = [row_of(number, each) for each in changes]
        if rows:
            await connection.execute(entity_changes.insert(), rows)


async def forgotten(store: SqlStore, source: str, before: datetime) -> None:
    """Forget what changed before then, as the end of a pass does."""
    async with store._writing("forget what is old") as connection:
        number = await claim_source(connection, source)
        await forget_old(connection, number, HistoryStep(before, before, keep=True))

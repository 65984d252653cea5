"""Rendering that several processes share: who is free renders some shards, the leader publishes.

What comes back counts as if it had been rendered here: nobody else has written to the catalog
meanwhile, or this pass publishes nothing. Where a definition that a shard names is lost, the leader
renders that shard itself.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from bridge.model.definitions import definition_of
from bridge.model.entities import CatalogEntity
from bridge.model.work import PartRead, RenderedShard, SweepPlan, Task
from bridge.passes.interfaces import ModelStore, WorkSharing
from bridge.passes.ledger import Ledger
from bridge.passes.makers import Renderer
from bridge.passes.publish import SHARDS_AT_ONCE, Rendered, define, shards_of
from bridge.passes.shared_task import SharedTask
from bridge.passes.spool import Spool
from bridge.passes.stages import as_it_is

PART: Final = 32  # shards: half a second of work
LEAST: Final = 64  # shards: fewer are sooner rendered than handed out
BYTES: Final = 16 << 20  # of files that a process hands over of a part: the leader renders the rest


@dataclass(frozen=True, slots=True)
class SharedRendering:
    """What others render of a pass over the source `reading`; a `bridge.passes.publish.Others`."""

    ledger: Ledger
    epoch: int
    work: WorkSharing
    reading: str

    async def __call__(
        self, rendered: Rendered, shards: Sequence[str], spool: Spool
    ) -> Collection[str]:
        """Have shards rendered, and add their files; those that were. Raises `StoreError`."""
        done: set[str] = set()

        async def items(after: str, limit: int) -> Sequence[str]:
            start = bisect_right(shards, after) if after else 0
            return shards[start : start + limit]

        async def took(read: PartRead) -> None:
            named = {path for shard in read.shards for path in shard.definitions}
            lost = await define(self.ledger, rendered, spool, named)
            for shard in read.shards:
                if lost.isdisjoint(shard.definitions):
                    rendered.take(shard, spool)
                    done.add(shard.bits)

        plan = SweepPlan(self.reading, Task.RENDER)
        shared = SharedTask(self.ledger, self.epoch, self.work, plan, items, took, PART)
        await shared.run(LEAST)
        return done


async def rendered_part(
    source: str, bits: Sequence[str], model: ModelStore, renderer: Renderer
) -> PartRead:
    """Some shards, for another process: as many as `BYTES` allow. Raises `StoreError`."""
    made: list[RenderedShard] = []
    size = 0
    for start in range(0, len(bits), SHARDS_AT_ONCE):
        some = bits[start : start + SHARDS_AT_ONCE]
        found = dict(zip(some, await model.under(source, some), strict=True))
        new = await asyncio.to_thread(shards_of, renderer, as_it_is, found)
        made += [replace(each, definitions=_named(found[each.bits])) for each in new]
        size += sum(len(file.body) for shard in new for file in shard.files)
        if size > BYTES:
            break
    return PartRead(shards=tuple(made))


def _named(entities: Iterable[CatalogEntity]) -> tuple[str, ...]:
    """The definitions that entities name, which the leader has to have."""
    paths = (definition_of(each.body) for each in entities)
    return tuple(path for path in paths if path is not None)

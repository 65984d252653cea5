"""Merging that several processes share: one hands out references, whoever is free merges them.

What a process merged it writes itself, in one transaction that counts only where nobody has made
another edition of the catalog since: nothing stale can come of it, and nothing half. What nobody
merged is noted as before, so that the process that leads merges it as it would have by itself.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import structlog

from bridge.errors import OtherRules, StoreConflict, StoreError
from bridge.model.entities import ref_of
from bridge.model.todo import Todo
from bridge.model.work import Claim, Part, ToMerge
from bridge.passes.interfaces import MergedParts, ModelStore, WorkSharing
from bridge.passes.makers import EntityMaker, Renderer
from bridge.passes.merge import Merging, merged_of

log = structlog.get_logger()

PART: Final = 500  # references: half a second of work
LEAST: Final = 1_000  # references: fewer are sooner merged than handed out
_AHEAD: Final = 64  # parts that are handed out and not settled


@dataclass(slots=True, eq=False)
class SharedMerging:
    """What a pass over the source `reading` merges, as far as other processes have a hand free."""

    merging: Merging
    work: WorkSharing
    reading: str
    _sweep: int = 0
    _parts: int = 0
    _open: set[int] = field(default_factory=set)  # parts that are not settled
    _last: str = ""  # reference that was handed out
    _listed: bool = False

    async def merge(self) -> None:
        """Have merged what is noted; what is left of it is noted still. Raises `StoreError`."""
        ledger = self.merging.ledger
        noted = await ledger.model.todo(ledger.source, Todo.MERGE, LEAST)
        if len(noted) < LEAST or not await self.work.others(self.reading):
            return
        await ledger.write(self.merging.epoch, self._begin)
        try:
            await self._all()
        except StoreConflict:
            raise
        except StoreError as error:
            log.warning("Merging is not shared", action="merging_alone", error=str(error))
        finally:
            if self._open or not self._listed:
                with suppress(StoreError):
                    await self.work.drop(self._sweep)
        await ledger.write(
            self.merging.epoch,
            lambda edition: ledger.model.merged_by_others(ledger.source, edition),
        )

    async def _begin(self, edition: int) -> int:
        source, rules = self.merging.ledger.source, self.merging.maker.merges_by
        self._sweep, edition = await self.work.begin(source, edition, self.reading, (), rules)
        return edition

    async def _all(self) -> None:
        """Hand out part by part until all are settled, or nobody takes them any more."""
        while True:
            while not self._listed and len(self._open) < _AHEAD:
                await self._put()
            if not self._open:
                return
            for each in await self.work.settled(self._sweep):
                self._open.discard(each.number)
                if each.read is not None:
                    self.merging.list_changed(map(ref_of, each.read.put))
                elif await self._overtaken():
                    return
            if await self.work.abandoned(self._sweep):
                return

    async def _overtaken(self) -> bool:
        """Whether another Fester made an edition since: of this one nothing counts any more."""
        ledger = self.merging.ledger
        return (await ledger.model.state(ledger.source)).edition != ledger.state.edition

    async def _put(self) -> None:
        ledger = self.merging.ledger
        refs = await ledger.model.todo(ledger.source, Todo.MERGE, PART, after=self._last)
        if refs:
            self._last = refs[-1]
            what = ToMerge(tuple(refs), self.merging.maker.merges_by, ledger.state.edition)
            part = Part(ledger.source, self.reading, self._sweep, self._parts, to_merge=what)
            self._parts += 1
            self._open.add(part.number)
            await self.work.put(part)
        if len(refs) < PART:
            await self.work.listed(self._sweep)
            self._listed = True


async def merge_part(
    claim: Claim, maker: EntityMaker, renderer: Renderer, model: ModelStore, parts: MergedParts
) -> bool:
    """Merge a part for another process, and write it; whether it counts.

    Raises `OtherRules` where it would be merged otherwise here, `StoreError`.
    """
    part, what = claim.part, claim.part.to_merge
    assert what is not None
    if what.rules != maker.merges_by:
        raise OtherRules(
            "a process with other rules of merging than the one that leads was to merge it; give "
            "all of them the same merge.yaml"
        )
    done = await merged_of(what.refs, part.source, model, maker, renderer)
    return await parts.merged(claim, done)

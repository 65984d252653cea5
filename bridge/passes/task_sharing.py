"""Tasks of a pass that several processes share: one hands out parts, whoever is free does them.

What a process merged or checked it writes itself, in one transaction that counts only where nobody
has made another edition of the catalog since: nothing stale can come of it, and nothing half. What
nobody did is noted as before, so that the process that leads does it as it would have by itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import structlog

from bridge.errors import OtherRules, StoreConflict, StoreError
from bridge.model.entities import ref_of
from bridge.model.todo import Todo
from bridge.model.work import Claim, OnCatalog, Part, PartRead, SweepPlan, Task
from bridge.passes.checking import Checking
from bridge.passes.interfaces import CatalogParts, ModelStore, WorkSharing
from bridge.passes.ledger import Ledger
from bridge.passes.makers import EntityMaker, Renderer
from bridge.passes.merge import Merging, merged_of

log = structlog.get_logger()

PART: Final = 500  # references: half a second of work
LEAST: Final = 1_000  # references: fewer are sooner done than handed out
_AHEAD: Final = 64  # parts that are handed out and not settled

# The next items that are to be done after one ("" for the first ones), and no more than so many.
Items = Callable[[str, int], Awaitable[Sequence[str]]]


@dataclass(slots=True, eq=False)
class SharedTask:
    """What a pass does of a task as far as other processes have a hand free.

    `items` gives what is to be done, `size` at a time; `took` hears what came of each part.
    """

    ledger: Ledger
    epoch: int
    work: WorkSharing
    plan: SweepPlan
    items: Items
    took: Callable[[PartRead], Awaitable[None]]
    size: int
    _sweep: int = 0
    _edition: int = 0
    _parts: int = 0
    _open: set[int] = field(default_factory=set)  # parts that are not settled
    _last: str = ""  # item that was handed out
    _listed: bool = False

    async def run(self, least: int) -> None:
        """Have done what there is, if it is not less than `least`. Raises `StoreError`."""
        first = await self.items("", least)
        if len(first) < least or not await self.work.others(self.plan.reading):
            return
        await self.ledger.write(self.epoch, self._begin)
        try:
            await self._all()
        except StoreConflict:
            raise
        except StoreError as error:
            log.warning(
                "What is to be done is not shared any more",
                action="working_alone",
                task=self.plan.task.value,
                error=str(error),
            )
        finally:
            if self._open or not self._listed:
                with suppress(StoreError):
                    await self.work.drop(self._sweep)
        source, model = self.ledger.source, self.ledger.model
        await self.ledger.write(
            self.epoch, lambda edition: model.written_by_others(source, edition)
        )

    async def _begin(self, edition: int) -> int:
        self._sweep, self._edition = await self.work.begin(self.ledger.source, edition, self.plan)
        return self._edition

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
                    await self.took(each.read)
                elif await self._overtaken():
                    return
            if await self.work.abandoned(self._sweep):
                return

    async def _overtaken(self) -> bool:
        """Whether another Fester made an edition since: of this one nothing counts any more."""
        return (await self.ledger.model.state(self.ledger.source)).edition != self._edition

    async def _put(self) -> None:
        items, plan = await self.items(self._last, self.size), self.plan
        if items:
            self._last = items[-1]
            what = OnCatalog(plan.task, tuple(items), plan.rules, self._edition, plan.told)
            source = self.ledger.source
            part = Part(source, plan.reading, self._sweep, self._parts, on_catalog=what)
            self._parts += 1
            self._open.add(part.number)
            await self.work.put(part)
        if len(items) < self.size:
            await self.work.listed(self._sweep)
            self._listed = True


async def share_merging(merging: Merging, work: WorkSharing, reading: str) -> None:
    """Have others merge what is noted; what is left of it is noted still. Raises `StoreError`."""
    plan = SweepPlan(reading, Task.MERGE, merging.maker.merges_by)
    await _share(merging, work, plan, Todo.MERGE)


async def share_checking(merging: Merging, work: WorkSharing, reading: str) -> None:
    """Have others check the references that are noted; as `share_merging`."""
    plan = SweepPlan(reading, Task.CHECK, merging.maker.checks_by, merging.maker.judged)
    await _share(merging, work, plan, Todo.CHECK)


async def _share(merging: Merging, work: WorkSharing, plan: SweepPlan, stage: Todo) -> None:
    model, source = merging.ledger.model, merging.ledger.source

    async def items(after: str, limit: int) -> Sequence[str]:
        return await model.todo(source, stage, limit, after=after)

    async def took(read: PartRead) -> None:
        merging.list_changed(map(ref_of, read.put))

    shared = SharedTask(merging.ledger, merging.epoch, work, plan, items, took, PART)
    await shared.run(LEAST)


@dataclass(slots=True, eq=False)
class CatalogHand:
    """Does for other processes what they have to do with the catalog, and writes it.

    `rules` are given each time, as files that they come of may change.
    """

    model: ModelStore
    parts: CatalogParts
    _checking: tuple[int, Checking] | None = None  # of the latest sweep

    async def do(self, claim: Claim, maker: EntityMaker, renderer: Renderer) -> bool:
        """Do a part, and write it; whether it counts.

        Raises `OtherRules` where it would be done otherwise here, `StoreError`.
        """
        what = claim.part.on_catalog
        assert what is not None
        if what.task is Task.MERGE:
            _refuse_others(what, maker.merges_by, "the same merge.yaml")
            source, model = claim.part.source, self.model
            merged = await merged_of(what.items, source, model, maker, renderer)
            return await self.parts.merged(claim, merged)
        _refuse_others(what, maker.checks_by, "the same settings, and the same Backstage to ask")
        checked = await self._checking_of(claim, what, maker).checked(what.items)
        return await self.parts.checked(claim, checked)

    def _checking_of(self, claim: Claim, what: OnCatalog, maker: EntityMaker) -> Checking:
        """The checking of a sweep: it searches no more often for all parts than for one."""
        sweep = claim.part.sweep
        if self._checking is None or self._checking[0] != sweep:
            made = Checking(claim.part.source, self.model, maker.judging(what.told))
            self._checking = sweep, made
        return self._checking[1]


def _refuse_others(what: OnCatalog, rules: str, advice: str) -> None:
    if what.rules != rules:
        raise OtherRules(
            f"a process with other rules than the one that leads was to {what.task} it; give all "
            f"of them {advice}"
        )

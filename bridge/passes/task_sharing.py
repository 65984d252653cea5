"""What several processes do of a pass with the catalog: merging, checking and rendering.

What a process merged or checked it writes itself, in one transaction that counts only where nobody
has made another edition of the catalog since: nothing stale can come of it, and nothing half.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bridge.errors import OtherRules
from bridge.model.entities import ref_of
from bridge.model.todo import Todo
from bridge.model.work import Claim, OnCatalog, PartRead, SweepPlan, Task
from bridge.passes.checking import Checking
from bridge.passes.interfaces import CatalogParts, ModelStore, WorkSharing
from bridge.passes.makers import EntityMaker, Renderer
from bridge.passes.merge import Merging, merged_of
from bridge.passes.render_sharing import rendered_part
from bridge.passes.shared_task import SharedTask

PART: Final = 500  # references: half a second of work
LEAST: Final = 1_000  # references: fewer are sooner done than handed out


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
    if not await shared.run(LEAST):
        merging.put = None  # others may have changed what nobody told of


@dataclass(slots=True, eq=False)
class CatalogHand:
    """Does for other processes what they have to do with the catalog, and writes it.

    Makers are given each time, as files that they come of may change.
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
        if what.task is Task.RENDER:
            rendered = await rendered_part(claim.part.source, what.items, self.model, renderer)
            return await self.parts.finish(claim, rendered)
        if what.task is Task.MERGE:
            _refuse_others(what, maker.merges_by, "the same merge.yaml")
            source, model = claim.part.source, self.model
            merged = await merged_of(what.items, source, model, maker, renderer)
            return await self.parts.merged(claim, merged)
        _refuse_others(what, maker.checks_by, "the same settings, and the same Backstage to ask")
        checked = await self._checking_of(claim, what, maker).checked(what.items)
        return await self.parts.checked(claim, checked)

    def _checking_of(self, claim: Claim, what: OnCatalog, maker: EntityMaker) -> Checking:
        """The checking of a sweep: of all its parts that come here, searches are counted once."""
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

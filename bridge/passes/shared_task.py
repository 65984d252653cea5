"""A task of a pass that several processes share: one hands out parts, whoever is free does them.

What nobody did is left to do, so that the process that leads does it as it would have by itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import structlog

from bridge.errors import StoreConflict, StoreError
from bridge.model.work import OnCatalog, Part, PartRead, SweepPlan
from bridge.passes.interfaces import WorkSharing
from bridge.passes.ledger import Ledger

log = structlog.get_logger()

_AHEAD: Final = 64  # parts that are handed out and not settled
_IDLE: Final = 900  # looks in a row at which nothing was settled: a minute and a half

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
    _parts: int = 0
    _open: set[int] = field(default_factory=set)  # parts that are not settled
    _last: str = ""  # item that was handed out
    _listed: bool = False

    async def run(self, least: int) -> bool:
        """Have done what there is, if it is not less than `least`; whether `took` heard of all.

        Raises `StoreError`.
        """
        first = await self.items("", least)
        if len(first) < least or not await self.work.others(self.plan.reading):
            return True
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
        return not self._open

    async def _begin(self, edition: int) -> int:
        self._sweep, edition = await self.work.begin(self.ledger.source, edition, self.plan)
        return edition

    async def _all(self) -> None:
        """Hand out part by part until all are settled, or nobody takes them any more.

        Who leads waits here while pushes wait for it: it rather does the rest itself than wait for
        hands that are full, or hang and show signs of life.
        """
        idle = 0
        while idle < _IDLE:
            while not self._listed and len(self._open) < _AHEAD:
                await self._put()
            if not self._open:
                return
            settled = await self.work.settled(self._sweep)
            idle = 0 if settled else idle + 1
            for each in settled:
                self._open.discard(each.number)
                if each.read is not None:
                    await self.took(each.read)
                elif await self._overtaken():
                    return
            if await self.work.abandoned(self._sweep):
                return

    async def _overtaken(self) -> bool:
        """Whether another Fester made an edition since: of this one nothing counts any more."""
        ledger = self.ledger
        return (await ledger.model.state(ledger.source)).edition != ledger.state.edition

    async def _put(self) -> None:
        items, plan, ledger = await self.items(self._last, self.size), self.plan, self.ledger
        if items:
            self._last = items[-1]
            edition = ledger.state.edition
            what = OnCatalog(plan.task, tuple(items), plan.rules, edition, plan.told)
            part = Part(ledger.source, plan.reading, self._sweep, self._parts, on_catalog=what)
            self._parts += 1
            self._open.add(part.number)
            await self.work.put(part)
        if len(items) < self.size:
            await self.work.listed(self._sweep)
            self._listed = True

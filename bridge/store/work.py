"""What several processes do of a pass: the parts lie in the store, whose turn it is in a queue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from bridge.errors import StoreError
from bridge.model.work import Claim, Part, PartRead, Settled, SweepPlan, Task
from bridge.store.parts import SqlParts

log = structlog.get_logger()

_LOOK: Final = 0.1  # seconds between two looks for parts that are settled


class Queue(Protocol):
    """Has parts done by whoever has a hand free. Every method raises `StoreError`."""

    async def put(self, queue: str, sweep: int, numbers: Iterable[int]) -> None:
        """Have parts done."""

    async def hands(self, queue: str) -> int:
        """How many processes take jobs of a queue now, this one included."""

    async def others(self, queue: str) -> int:
        """How many other processes do."""

    async def take_over(self, queue: str) -> int:
        """Have done again what processes were at that show no sign of life."""

    async def known(self, sweep: int) -> Mapping[int, bool]:
        """The parts of a sweep for which there is a job, and whether one is at it."""


@dataclass(slots=True)
class _Sweep:
    """A sweep that was begun here. Its queue stays to its end; `looked` is when it was seen to.

    `lost` are the parts without a job, and `abandoned` is whether nobody took any, at that moment.
    """

    reading: str
    task: Task
    queue: str
    looked: float
    lost: frozenset[int] = frozenset()
    abandoned: bool = False


class SharedWork:
    """A `bridge.passes.interfaces.Work` on one store.

    `queue_of` names the queue of a source: of those alone who would read it just as we do. `name`
    is that of this process. `patience` is how many seconds a process may show no sign of life.
    """

    def __init__(
        self,
        parts: SqlParts,
        queue: Queue,
        queue_of: Callable[[str], str],
        name: str,
        patience: float,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._parts = parts
        self._queue = queue
        self._queue_of = queue_of
        self._name = name
        self._patience = patience
        self._clock = clock
        self._sleep = sleep
        self._sweeps: dict[int, _Sweep] = {}  # the latest of each reading and task

    async def others(self, reading: str) -> int:
        """How many other processes would read this source now; none while the queue is away."""
        try:
            return await self._queue.others(self._queue_of(reading))
        except StoreError as error:
            log.warning("A sweep is not shared", action="sweep_alone", error=str(error))
            return 0

    async def begin(self, source: str, edition: int, plan: SweepPlan) -> tuple[int, int]:
        """Begin a sweep; its number, and the next edition."""
        sweep, edition = await self._parts.begin(source, edition, plan)
        made = _Sweep(plan.reading, plan.task, self._queue_of(plan.reading), self._clock())
        kind = made.reading, made.task
        others = {n: each for n, each in self._sweeps.items() if (each.reading, each.task) != kind}
        self._sweeps = {**others, sweep: made}
        told = {"task": plan.task.value, "reading": plan.reading, "sweep": sweep}
        log.info("A task of a pass is shared", action="sweep_shared", **told)
        return sweep, edition

    async def put(self, part: Part) -> None:
        """Have a part done."""
        await self._parts.put(part)
        await self._queue.put(self._sweeps[part.sweep].queue, part.sweep, [part.number])

    async def listed(self, sweep: int) -> None:
        """Say that there are no more parts."""
        await self._parts.listed(sweep)

    async def settled(self, sweep: int) -> Sequence[Settled]:
        """Some parts that are settled, each once; none when there are none for a moment."""
        if found := await self._parts.settled(sweep):
            return found
        known = self._sweeps[sweep]
        if self._clock() - known.looked >= self._patience:
            known.looked = self._clock()
            await self._look_after(sweep, known)
        await self._sleep(_LOOK)
        return []

    async def abandoned(self, sweep: int) -> Claim | None:
        """A part that nobody would read, begun for this process; None where there is none.

        Whoever took jobs of the sweep may do so no more: when the token or the mapping files
        change all take jobs of another queue.
        """
        if not self._sweeps[sweep].abandoned:
            return None
        for number in await self._parts.open(sweep):
            if claim := await self._parts.claim(sweep, number, self._name):
                return claim
        return None

    async def finish(self, claim: Claim, read: PartRead) -> bool:
        """Take what this process read of a part; whether it counts."""
        return await self._parts.finish(claim, read)

    async def fail(self, claim: Claim, reason: str) -> bool:
        """Say why this process could not read a part; whether it is to be tried again."""
        return await self._parts.fail(claim, reason)

    async def drop(self, sweep: int) -> None:
        """Have nothing more read of a sweep."""
        await self._parts.drop(sweep)

    async def _look_after(self, sweep: int, known: _Sweep) -> None:
        """Have read again what nobody reads any more: a part never waits for one who died."""
        if not await self._queue.hands(known.queue):
            known.abandoned = True
            log.warning(
                "Nobody works with this process any more, so it does the rest of a sweep itself",
                action="sweep_abandoned",
                reading=known.reading,
                sweep=sweep,
            )
            return
        known.abandoned = False
        over = await self._queue.take_over(known.queue)
        lost = await self._lost(sweep)
        # What is put, or ends, in this moment looks lost once.
        again, known.lost = lost & known.lost, lost
        if again:
            await self._queue.put(known.queue, sweep, sorted(again))
            known.lost = frozenset()
        if over or again:
            log.warning(
                "Parts of a sweep are done again: who did them shows no sign of life",
                action="parts_taken_over",
                count=over + len(again),
            )

    async def _lost(self, sweep: int) -> frozenset[int]:
        """The open parts without a job, and those of which nobody is at it though a job says so."""
        jobs = await self._queue.known(sweep)
        under_way = await self._parts.open(sweep)
        return frozenset(
            number
            for number, begun in under_way.items()
            if number not in jobs or (jobs[number] and not begun)
        )

"""Sweeps that several processes read: the parts lie in the store, whose turn it is in a queue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from bridge.model.work import Part, Settled
from bridge.store.parts import SqlParts

log = structlog.get_logger()

_LOOK: Final = 0.1  # seconds between two looks for parts that are settled
_CHANGED: Final = (
    "the token or the mapping files changed during the sweep, so nobody reads it any more"
)


class Queue(Protocol):
    """Has parts read by whoever has a hand free. Every method raises `StoreError`."""

    async def put(self, queue: str, sweep: int, numbers: Iterable[int]) -> None:
        """Have parts read."""

    async def others(self) -> int:
        """How many other processes take jobs now."""

    async def take_over(self, queue: str) -> int:
        """Have done again what processes were at that show no sign of life."""

    async def known(self, sweep: int) -> set[int]:
        """The parts of a sweep that somebody is to read, or reads."""


@dataclass(slots=True)
class _Sweep:
    """A sweep that was begun here. Its queue stays to its end; `looked` is when it was seen to."""

    reading: str
    queue: str
    looked: float


class SharedWork:
    """A `bridge.passes.interfaces.Work` on one store.

    `queue_of` names the queue of a source: of those alone who would read it just as we do.
    `patience` is how many seconds a process may show no sign of life.
    """

    def __init__(
        self,
        parts: SqlParts,
        queue: Queue,
        queue_of: Callable[[str], str],
        patience: float,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._parts = parts
        self._queue = queue
        self._queue_of = queue_of
        self._patience = patience
        self._clock = clock
        self._sleep = sleep
        self._sweeps: dict[int, _Sweep] = {}  # the latest of each reading

    async def hands(self) -> int:
        """How many other processes would read now."""
        return await self._queue.others()

    async def begin(
        self, source: str, edition: int, reading: str, files: tuple[str, ...]
    ) -> tuple[int, int]:
        """Begin a sweep over one source; its number, and the next edition."""
        sweep, edition = await self._parts.begin(source, edition, reading, files)
        others = {n: each for n, each in self._sweeps.items() if each.reading != reading}
        self._sweeps = {**others, sweep: _Sweep(reading, self._queue_of(reading), self._clock())}
        log.info("A sweep is shared", action="sweep_shared", reading=reading, sweep=sweep)
        return sweep, edition

    async def put(self, part: Part) -> None:
        """Have a part read."""
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

    async def drop(self, sweep: int) -> None:
        """Have nothing more read of a sweep."""
        await self._parts.drop(sweep)

    async def _look_after(self, sweep: int, known: _Sweep) -> None:
        """Have read again what nobody reads any more: a part never waits for one who died."""
        queue = known.queue
        if self._queue_of(known.reading) != queue:  # hands take jobs of the new one alone
            given_up = await self._parts.give_up(sweep, _CHANGED)
            log.warning("Parts of a sweep are given up", action="parts_given_up", count=given_up)
            return
        over = await self._queue.take_over(queue)
        lost = set(await self._parts.open(sweep)) - await self._queue.known(sweep)
        if lost:
            await self._queue.put(queue, sweep, sorted(lost))
        if over or lost:
            log.warning(
                "Parts of a sweep are read again: who read them shows no sign of life",
                action="parts_taken_over",
                count=over + len(lost),
            )

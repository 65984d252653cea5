"""The queue of jobs, where it can be had only later: a right is granted, a server comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Final, Protocol

import structlog

from bridge.errors import StoreError
from bridge.store.work import Queue

log = structlog.get_logger()

_AGAIN: Final = 60.0  # seconds between two tries
Do = Callable[[int, int], Awaitable[bool]]


class WorkingQueue(Queue, Protocol):
    """A queue of which a process also takes jobs."""

    async def work(self, queue: str, do: Do) -> None:
        """Do the jobs of a queue until cancelled. Raises `StoreError`."""


class LateQueue:
    """A queue as soon as it is there: until then nobody else takes jobs, and none can be put."""

    def __init__(self) -> None:
        self._queue: WorkingQueue | None = None
        self._there = asyncio.Event()

    def begin(self, queue: WorkingQueue) -> None:
        """It is there from now on."""
        self._queue = queue
        self._there.set()

    @property
    def _now(self) -> WorkingQueue:
        if self._queue is None:
            raise StoreError("the queue of jobs could not be had yet; it is tried again")
        return self._queue

    async def work(self, queue: str, do: Do) -> None:
        """Do the jobs of a queue, once it is there, until cancelled. Raises `StoreError`."""
        await self._there.wait()
        await self._now.work(queue, do)

    async def put(self, queue: str, sweep: int, numbers: Iterable[int]) -> None:
        """Have parts done."""
        await self._now.put(queue, sweep, numbers)

    async def hands(self, queue: str) -> int:
        """How many processes take jobs of a queue now, this one included."""
        return await self._now.hands(queue)

    async def others(self, queue: str) -> int:
        """How many other processes do; none that this one would know of before it is there."""
        return await self._now.others(queue) if self._queue is not None else 0

    async def take_over(self, queue: str) -> int:
        """Have done again what processes were at that show no sign of life."""
        return await self._now.take_over(queue)

    async def known(self, sweep: int) -> Mapping[int, bool]:
        """The parts of a sweep for which there is a job, and whether one is at it."""
        return await self._now.known(sweep)


@asynccontextmanager
async def sooner_or_later(
    opening: Callable[[], AbstractAsyncContextManager[WorkingQueue]],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[LateQueue]:
    """The queue of jobs while it is open, tried again where it cannot be had.

    That is logged once, and once when it is there.
    """
    queue = LateQueue()
    async with AsyncExitStack() as stack:

        async def tried() -> StoreError | None:
            try:
                queue.begin(await stack.enter_async_context(opening()))
            except StoreError as error:
                return error
            return None

        async def until_it_is_there() -> None:
            await sleep(_AGAIN)
            while await tried() is not None:
                await sleep(_AGAIN)
            log.info("Sweeps are shared from now on", action="work_shared")

        trying: asyncio.Task[None] | None = None
        if (error := await tried()) is not None:
            log.warning("No sweep is shared", action="work_alone", error=str(error))
            trying = asyncio.create_task(until_it_is_there())
        try:
            yield queue
        finally:
            if trying is not None:
                trying.cancel()
                await asyncio.gather(trying, return_exceptions=True)

"""A hand for the passes of others: does parts of them until told to stop."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

import structlog

from bridge.errors import FesterError, StoreError
from bridge.model.work import Claim, Part, PartRead
from bridge.secret.masks import masked
from bridge.service.schedule import ended

log = structlog.get_logger()

_LONGEST: Final = 1800.0  # seconds for one part: GitLab may ask to wait for long
_LONGEST_ON_CATALOG: Final = 60.0  # seconds: who leads waits, and would rather do it itself
_LOOK: Final = 20.0  # seconds between two looks at what this process would read, and how
_PAUSE: Final = 2.0  # seconds after a fault of the store's
_TRIES: Final = 30  # of what the store does not take or give: a minute and more
_Done = TypeVar("_Done")


class PartStore(Protocol):
    """Knows what is to be read, and takes what was. Every method raises `StoreError`."""

    async def claim(self, sweep: int, number: int, worker: str) -> Claim | None:
        """Begin a part; None where nothing is to be done."""

    async def finish(self, claim: Claim, read: PartRead) -> bool:
        """Write what was read; whether it counts."""

    async def fail(self, claim: Claim, reason: str) -> bool:
        """Say why a part could not be read; whether it is to be tried again."""


@dataclass(slots=True)
class PartReader:
    """Does parts for one process, called `name`; `counts` what came of them.

    `read` reads a part. `write` does one that is on the catalog, and writes it; whether it counts.
    """

    parts: PartStore
    read: Callable[[Part], Awaitable[PartRead]]
    write: Callable[[Claim], Awaitable[bool]]
    name: str
    counts: Counter[str] = field(default_factory=Counter)  # done, failed, late
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def do(self, sweep: int, number: int) -> bool:
        """Do a part; whether it is to be tried again. Raises `StoreError`.

        That the store does not answer is no fault of the part's: it is asked again. Whoever is
        silent for so long that another one reads the part is refused in the end.
        """
        claim = await self.parts.claim(sweep, number, self.name)
        if claim is None:
            return False
        on_catalog = claim.part.on_catalog is not None
        longest = _LONGEST_ON_CATALOG if on_catalog else _LONGEST
        try:
            async with asyncio.timeout(longest):
                if on_catalog:
                    return self._counted(claim, await self._in_spite(lambda: self.write(claim)))
                read = await self._in_spite(lambda: self.read(claim.part))
        except TimeoutError:
            return await self._failed(claim, f"it took longer than {longest / 60:g} minutes")
        except FesterError as error:
            return await self._failed(claim, str(error))
        except Exception as error:
            log.exception("A part could not be done", action="part_broke", number=number)
            return await self._failed(claim, f"a fault in Fester ({type(error).__name__})")
        return self._counted(claim, await self._in_spite(lambda: self.parts.finish(claim, read)))

    def _counted(self, claim: Claim, counts: bool) -> bool:
        """It is not to be tried again, whether it counts or not."""
        self.counts["done" if counts else "late"] += 1
        if not counts:
            log.warning(
                "What was done came too late: another process has done it, or the sweep is over",
                action="part_late",
                number=claim.part.number,
            )
        return False

    async def _failed(self, claim: Claim, reason: str) -> bool:
        self.counts["failed"] += 1
        reason = masked(reason)
        log.warning(
            "A part was not done", action="part_failed", number=claim.part.number, reason=reason
        )
        return await self._in_spite(lambda: self.parts.fail(claim, reason))

    async def _in_spite(self, work: Callable[[], Awaitable[_Done]]) -> _Done:
        """What comes of some work, as soon as the store answers."""
        for _ in range(_TRIES - 1):
            try:
                return await work()
            except StoreError as error:
                log.warning("The store did not answer", action="part_waits", error=str(error))
                await self.sleep(_PAUSE)
        return await work()


@dataclass(slots=True)
class Hand:
    """Takes jobs of `queues()`, one task each, and begins anew where those change.

    `work` does the jobs of one queue until it is cancelled.
    """

    queues: Callable[[], Awaitable[frozenset[str]]]
    work: Callable[[str], Awaitable[None]]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _broke: set[str] = field(default_factory=set)  # since the last look
    _broke_before: set[str] = field(default_factory=set)  # between the two looks before

    @property
    def taking(self) -> int:
        """Of how many queues it takes jobs, and had no fault for some seconds."""
        return len(self._tasks.keys() - self._broke - self._broke_before)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                await self._look()
                await self.sleep(_LOOK)
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _look(self) -> None:
        self._broke, self._broke_before = set(), self._broke
        try:
            wanted = await self.queues()
        except FesterError as error:
            log.error("What to read is as it was", action="worker_settings", error=str(error))
            return
        except Exception:  # a folder that cannot be read now, say: the next look may find it
            log.exception("What to read is as it was", action="worker_settings")
            return
        for gone in self._tasks.keys() - wanted:
            await ended(self._tasks.pop(gone))
        for queue in wanted - self._tasks.keys():
            self._tasks[queue] = asyncio.create_task(self._working(queue))

    async def _working(self, queue: str) -> None:
        """Take jobs again after a fault: a worker outlives a restart of its database."""
        task = asyncio.current_task()
        assert task is not None
        while True:
            try:
                await self.work(queue)
            except StoreError as error:
                log.error("The store does not answer", action="worker_failed", error=str(error))
            except Exception:
                log.exception("Taking jobs broke", action="worker_broke")
            if task.cancelling():  # it ended with a fault of the store's in place of that
                return
            self._broke.add(queue)
            await self.sleep(_PAUSE)

"""Passes on a schedule: one at a time, soon after each other when asked, never overlapping."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from bridge.errors import FesterError
from bridge.passes.stages import Listener, Pass

log = structlog.get_logger()

_FIRST_RETRY = 5.0  # seconds until a pass that failed is made again, doubled at each failure


@dataclass(slots=True)
class Schedule:
    """Makes a pass, waits `every` seconds or until `poke`, and again until cancelled.

    `make_pass` gives after how many seconds it is to be made again at the latest; None: as usual.
    After an error, which is logged, the next one comes sooner, then ever later.
    """

    make_pass: Callable[[], Awaitable[float | None]]
    every: float
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _failures: int = 0

    def poke(self) -> None:
        """Start the next pass now (or right after the one that runs)."""
        self._wake.set()

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            self._wake.clear()
            pause = await self._once()
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _once(self) -> float:
        """Make a pass; gives the seconds until the next one."""
        try:
            again = await self.make_pass()
        except FesterError as error:
            log.error("A pass could not be made", action="pass_failed", error=str(error))
        except Exception:
            # A fault of ours, or of an extension: the next pass may not meet it.
            log.exception("A pass broke", action="pass_broke")
        else:
            self._failures = 0
            return self.every if again is None else min(again, self.every)
        self._failures += 1
        return min(self.every, _FIRST_RETRY * 2.0 ** min(self._failures - 1, 20))


@dataclass(slots=True)
class Audience:
    """Tells listeners of passes, in their order, one pass at a time.

    A pass never waits for it and never fails by it: an error is logged, and whoever is slow
    hears only of the latest pass when it is done with the one before.
    """

    listeners: Sequence[Listener]
    _latest: Pass | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, done: Pass) -> None:
        """A pass was published and saved."""
        self._latest = done if self._latest is None else done.after(self._latest)
        self._news.set()

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            latest, self._latest = self._latest, None
            if latest is not None:
                for listener in self.listeners:
                    await _told(listener, latest)


@dataclass(slots=True)
class Audiences:
    """Several that do not wait for each other."""

    each: Sequence[Audience]

    def hear(self, done: Pass) -> None:
        """A pass was published and saved."""
        for audience in self.each:
            audience.hear(done)

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for audience in self.each:
                tasks.create_task(audience.run())


async def _told(listener: Listener, done: Pass) -> None:
    try:
        await listener(done)
    except Exception as error:
        name = getattr(listener, "__qualname__", type(listener).__name__)
        say = log.bind(action="after_pass_failed", listener=name)
        if isinstance(
            error, FesterError
        ):  # it says what to do, and where it comes from helps nobody
            say.error("A step after a pass failed", reason=str(error))
        else:
            say.exception("A step after a pass failed")


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel a task that runs until cancelled, and wait for its end."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

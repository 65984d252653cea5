"""Hints on their way to a pass: many become few, and none is lost while a pass runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

import structlog

from bridge.errors import FesterError
from bridge.model.hints import SOMETHING, Hint

log = structlog.get_logger()

_MOST = 20_000  # hints that wait; whoever has more has lost the thread, and asks what changed
_FIRST_RETRY, _LAST_RETRY = 5.0, 300.0


@dataclass(slots=True)
class Inbox:
    """Hints that wait. `settle` is how many seconds they are collected before a pass."""

    settle: float = 0.2
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _waiting: set[Hint] = field(default_factory=set)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, hints: Iterable[Hint]) -> None:
        """Take hints in; never waits."""
        self._waiting.update(hints)
        if len(self._waiting) > _MOST:
            self._waiting = {SOMETHING}
        if self._waiting:
            self._news.set()

    async def collected(self) -> frozenset[Hint]:
        """Wait for a hint, let those settle that come with it, and take them all."""
        await self._news.wait()
        await self.sleep(self.settle)
        return self.take()

    def take(self) -> frozenset[Hint]:
        """All that wait, at once; empty when there is none."""
        found, self._waiting = frozenset(self._waiting), set()
        self._news.clear()
        return found

    async def answer(self, act: Callable[[frozenset[Hint]], Awaitable[bool]]) -> None:
        """Act on hints until cancelled. What could not be done is tried again, ever more rarely."""
        pause = _FIRST_RETRY
        while True:
            hints = await self.collected()
            done = False
            try:
                done = not hints or await act(hints)
            except FesterError as error:
                log.error("Hints wait for another try", action="hints_failed", error=str(error))
            finally:
                if not done:  # also when this is cancelled: somebody else may take them
                    self.put(hints)
            if done:
                pause = _FIRST_RETRY
            else:
                await self.sleep(pause)
                pause = min(2 * pause, _LAST_RETRY)

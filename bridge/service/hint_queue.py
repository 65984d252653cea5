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
_FIRST_RETRY = 5.0  # seconds, doubled at each try
_MOST_TRIES = 6


async def _nobody(hints: frozenset[Hint]) -> None:
    """Hears of hints, and does nothing."""


@dataclass(slots=True)
class HintQueue:
    """Hints that wait. `settle` is how many seconds they are collected before a pass.

    `something` is what stands for too many.
    """

    settle: float = 0.2
    something: Hint = SOMETHING
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _waiting: set[Hint] = field(default_factory=set)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _tries: dict[Hint, int] = field(default_factory=dict)
    _later: dict[asyncio.Task[None], set[Hint]] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        """How many wait, those that are tried again later included."""
        return len(self._waiting) + sum(map(len, self._later.values()))

    def put(self, hints: Iterable[Hint]) -> None:
        """Take hints in; never waits."""
        self._waiting.update(hints)
        if len(self._waiting) > _MOST:
            self._waiting = {self.something}
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

    async def answer(
        self,
        act: Callable[[frozenset[Hint]], Awaitable[frozenset[Hint]]],
        over: Callable[[frozenset[Hint]], Awaitable[None]] = _nobody,
    ) -> None:
        """Act on hints until cancelled; `act` gives those that are not done yet.

        They are tried again, ever more rarely and not for ever: passes ask what changed anyway.
        Hints that come meanwhile do not wait for them. `over` hears of those that `act` was given
        and that are not tried again.
        """
        try:
            while True:
                await over(await self._act_once(act))
        finally:
            for task, hints in self._later.items():
                task.cancel()
                self.put(hints)
            self._later.clear()

    async def _act_once(
        self, act: Callable[[frozenset[Hint]], Awaitable[frozenset[Hint]]]
    ) -> frozenset[Hint]:
        undone = hints = await self.collected()
        try:
            undone = await act(hints) if hints else hints
        except FesterError as error:
            log.error("Hints wait for another try", action="hints_failed", error=str(error))
        except Exception:
            log.exception("A pass over hints broke", action="pass_broke")
        except asyncio.CancelledError:
            self.put(hints)  # for whoever takes over
            raise
        for hint in hints - undone:
            self._tries.pop(hint, None)
        later = self._by_tries(undone)
        for tries, again in later.items():
            task = asyncio.create_task(self._put_later(again, _FIRST_RETRY * 2**tries))
            self._later[task] = again
            task.add_done_callback(lambda task: self._later.pop(task, None))
        return hints.difference(*later.values())

    def _by_tries(self, hints: frozenset[Hint]) -> dict[int, set[Hint]]:
        found: dict[int, set[Hint]] = {}
        for hint in hints:
            tries = self._tries.pop(hint, 0)
            if tries < _MOST_TRIES:
                found.setdefault(tries, set()).add(hint)
                self._tries[hint] = tries + 1
        return found

    async def _put_later(self, hints: set[Hint], seconds: float) -> None:
        await self.sleep(seconds)
        self.put(hints)

"""One replica of `fester serve`: it leads and makes passes, or follows and serves what is saved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import structlog

from bridge.errors import FesterError, StoreError
from bridge.model.hints import SOMETHING, Hint, hinted_projects
from bridge.model.runs import Outcome
from bridge.model.scrape import ScrapeRequest
from bridge.passes.pipeline import Pass, PassOptions, Stages, restored_pass
from bridge.passes.runner import Passes
from bridge.service.hint_queue import Inbox
from bridge.service.leadership import Leadership
from bridge.service.schedule import Audience, Audiences, Schedule, ended

log = structlog.get_logger()

_LOOK = 0.5  # seconds between two looks for hints of other replicas
_FOLLOW = 2.0  # seconds between two looks for a new pass, or for a lease that is free


class HintStore(Protocol):
    """Where replicas leave hints for the one that leads."""

    async def leave(self, source: str, found: Iterable[Hint]) -> None:
        """Leave hints."""

    async def take(self, source: str) -> frozenset[Hint]:
        """Take what was left."""


@dataclass(slots=True)
class Service:
    """Runs a replica until cancelled.

    `show` swaps what is served for another pass; `account` hears of every pass made here.
    """

    passes: Passes
    leadership: Leadership
    hints: HintStore
    wish: PassOptions
    every: float
    show: Callable[[Pass], Awaitable[None]]
    account: Callable[[Pass], None] = lambda done: None
    role: Callable[[str], None] = lambda name: None  # hears "leader" or "follower"
    audience: Audience | Audiences = field(default_factory=lambda: Audience(()))
    inbox: Inbox = field(default_factory=Inbox)
    refreshed: Callable[[Stages], Awaitable[Stages]] | None = None  # before a scheduled pass
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _schedule: Schedule | None = None
    _shown: int = -1
    _showing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def source(self) -> str:
        """What is crawled."""
        return self.passes.stages.scraper.name

    async def run(self) -> None:
        """Follow until nobody leads, lead until the lease is lost, and again."""
        while True:
            await self._follow()
            await self._lead()

    async def refuse_others(self) -> None:
        """Raise `ConfigurationError` when a destination is another's; changes nothing."""
        await self.passes.ready(replace(self.wish, dry_run=True))

    async def catch_up(self) -> None:
        """Serve the last saved pass, if it is not served already. Raises `StoreError`."""
        known = await self.passes.known()
        if known.memory.horizon.passes == self._shown:
            return
        last = await restored_pass(self.passes.stages, known)
        if last is not None:
            await self.show(last)
        self._shown = known.memory.horizon.passes

    async def _follow(self) -> None:
        async with _running(self.inbox.answer(self._hand_over)):
            while True:
                try:
                    if await self.leadership.take():
                        return
                    self.role("follower")
                    await self.catch_up()
                except StoreError as error:
                    log.error("The store does not answer", action="follow_failed", error=str(error))
                await self.sleep(_FOLLOW)

    async def _hand_over(self, hints: frozenset[Hint]) -> frozenset[Hint]:
        await self.hints.leave(self.source, hints)
        return frozenset()

    async def _lead(self) -> None:
        self.role("leader")
        schedule = self._schedule = Schedule(self._due_pass, self.every)
        # What began last is ended first: the lease is kept until every pass has ended.
        async with (
            _running(self.leadership.keep()) as keeping,
            _running(self.audience.run()),
            _running(schedule.run()),
            _running(self.inbox.answer(self._hinted_pass)),
            _running(self._collect()),
        ):
            await asyncio.wait([keeping])
        self._schedule = None

    async def stop(self) -> None:
        """Let another replica lead, with the hints that wait here; after `run` was cancelled."""
        with suppress(StoreError):
            await self.hints.leave(self.source, self.inbox.take())
            await self.leadership.give_back()

    async def _collect(self) -> None:
        """Take in what other replicas were told."""
        while True:
            try:
                self.inbox.put(await self.hints.take(self.source))
            except StoreError as error:
                log.error("The store does not answer", action="hints_failed", error=str(error))
            await self.sleep(_LOOK)

    async def _due_pass(self) -> None:
        if self.refreshed is not None:
            self.passes.stages = await self.refreshed(self.passes.stages)
        await self._tell(await self.passes.run(await self.passes.next_pass(self.wish)))

    async def _hinted_pass(self, hints: frozenset[Hint]) -> frozenset[Hint]:
        """Read what hints speak of; gives the hints that could not be followed."""
        if SOMETHING in hints and self._schedule is not None:
            self._schedule.poke()
        ids = hinted_projects(hints, (await self.passes.known()).memory)
        if not ids:
            return frozenset()
        files = self.passes.stages.translator.files
        wish = PassOptions(
            dry_run=self.wish.dry_run,
            accept_removals=self.wish.accept_removals,
            take_over=self.wish.take_over,
            request=ScrapeRequest(files, only=tuple(sorted(ids))),
        )
        done = await self.passes.run(wish)
        await self._tell(done)
        if done.record.report.outcome is Outcome.FAILED:
            return hints
        seen = ((number, done.observations.get(number)) for number in ids)
        return frozenset(Hint(number) for number, each in seen if each and each.unreadable)

    async def _tell(self, done: Pass) -> None:
        async with self._showing:
            # Passes overlap: an older one must not be shown over a newer one.
            if done.memory.horizon.passes >= self._shown:
                await self.show(done)
                self._shown = done.memory.horizon.passes
        self.account(done)
        if done.record.report.outcome is not Outcome.FAILED and not self.wish.dry_run:
            self.audience.hear(done)


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    """A task for as long as the block lasts. An error of ours in it is logged, not raised."""
    task = asyncio.create_task(_logged(work))
    try:
        yield task
    finally:
        await ended(task)


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except FesterError as error:
        log.error("A part of the service ended", action="service_part_ended", error=str(error))

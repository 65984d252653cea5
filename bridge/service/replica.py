"""One replica of `fester serve`: it leads and makes passes, or follows and serves what is saved."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Iterable,
    Mapping,
)
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

import structlog

from bridge.errors import FesterError, LeadLost, StoreConflict, StoreError
from bridge.model.hints import Hint, by_source, hinted_groups, hinted_projects, something
from bridge.model.numbers import FIRST
from bridge.model.replica_role import ReplicaRole
from bridge.model.runs import Outcome
from bridge.model.scrape import Coverage, ScrapeRequest
from bridge.passes.runner import Passes
from bridge.passes.stages import Pass, PassOptions, Stages
from bridge.service.hint_queue import HintQueue
from bridge.service.in_time import in_time
from bridge.service.leadership import Leadership
from bridge.service.pulse import Pulse
from bridge.service.schedule import Audience, Audiences, Schedule, ended

log = structlog.get_logger()

_LOOK = 0.5  # seconds between two looks for hints of other replicas
# Seconds: GitLab waits ten for the answer to a hook.
_ACCEPT = 6.0  # for it to be kept
_RECALL = 2.0  # for what was read of its project
_SILENT = "the store did not answer"
_HANGS = 120.0  # seconds without a sign of life, after which a part that asks the store hangs
_PASS_HANGS = 1800.0  # the same of a pass: GitLab may ask to wait for long
_FOLLOW = 2.0  # seconds between two looks for a new pass, or for a lease that is free


class HintStore(Protocol):
    """Where replicas leave hints for the one that leads."""

    async def leave(self, source: str, found: Iterable[Hint]) -> None:
        """Leave hints."""

    async def waiting(self, source: str) -> dict[int, Hint]:
        """What was left and is not done, by number."""

    async def done(self, source: str, numbers: Collection[int]) -> None:
        """Forget what was followed."""


@dataclass(slots=True)
class Post:
    """One source's place in a replica: its hints wait here, and its passes are made from here.

    `kept` are the numbers by which the store knows the hints that it keeps until a pass has
    followed them; `followed` are those of the hints that a pass follows now.
    """

    source: str
    hint_queue: HintQueue
    schedule: Schedule | None = None
    kept: dict[Hint, int] = field(default_factory=dict)
    followed: dict[Hint, int] = field(default_factory=dict)

    def begin(self) -> None:
        """Begin to lead: what waits is what the store keeps."""
        self.hint_queue.take()
        self.kept.clear()

    def hear(self, found: Mapping[Hint, int]) -> None:
        """Take in what the store keeps, as far as it is new."""
        new = {hint: number for hint, number in found.items() if self.kept.get(hint) != number}
        self.kept |= new
        self.hint_queue.put(new)

    def follow(self, hints: frozenset[Hint]) -> None:
        """A pass begins to follow hints; one that is left again from now on is another one."""
        self.followed = {hint: self.kept[hint] for hint in hints if hint in self.kept}

    def forget(self, hints: frozenset[Hint]) -> list[int]:
        """The numbers of hints that were followed, which are no longer to be kept."""
        numbers = {hint: self.followed[hint] for hint in hints if hint in self.followed}
        for hint, number in numbers.items():
            if self.kept.get(hint) == number:
                del self.kept[hint]
        return list(numbers.values())

    @property
    def part(self) -> str:
        """What its passes are called where something hangs."""
        return f"pass of {self.source}" if self.source else "pass"


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
    role: Callable[[ReplicaRole], None] = lambda name: None  # hears what this one does
    audience: Audience | Audiences = field(default_factory=lambda: Audience(()))
    hint_queue: HintQueue = field(default_factory=HintQueue)
    refreshed: Callable[[Stages], Awaitable[Stages]] | None = None  # before a scheduled pass
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    pulse: Pulse = field(default_factory=Pulse)
    store_answers: Callable[[bool], None] = lambda answers: None  # hears it where none leads here
    posts: Mapping[str, Post] = field(init=False)  # by source: none of them waits for another
    _left: asyncio.Event = field(default_factory=asyncio.Event)
    _shown: int = -1
    _showing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _renewing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        settle = self.hint_queue.settle
        self.posts = {FIRST: Post(FIRST, self.hint_queue)} | {
            name: Post(name, HintQueue(settle, something(name)))
            for name in self.passes.stages.further
        }

    @property
    def hints_waiting(self) -> int:
        """How many hints wait for a pass."""
        return sum(post.hint_queue.waiting for post in self.posts.values())

    @property
    def source(self) -> str:
        """What is crawled."""
        return self.passes.stages.scraper.name

    async def run(self) -> None:
        """Follow until nobody leads, lead until the lease is lost, and again."""
        while True:
            try:
                await self._follow()
                await self._lead()
            except Exception:
                # A fault of ours must not end a service that could go on.
                log.exception("A part of the service broke", action="service_part_broke")
                await self.sleep(_FOLLOW)

    async def accept(self, hints: Iterable[Hint]) -> None:
        """Keep hints where they survive this process. Raises `StoreError`."""
        await in_time(self.hints.leave(self.source, hints), _ACCEPT, _SILENT)
        self._left.set()

    async def further_paths(self, project_id: int) -> frozenset[str]:
        """What a hook about a project may touch; see `Passes.further_paths`. Raises `StoreError`.

        Nobody waits for a pass that holds the store, either.
        """
        return await in_time(self.passes.further_paths(project_id), _RECALL, _SILENT)

    async def refuse_others(self) -> None:
        """Raise `ConfigurationError` when a destination is another's; changes nothing."""
        await self.passes.ready(replace(self.wish, dry_run=True))

    async def catch_up(self) -> None:
        """Serve the last saved pass, if it is not served already. Raises `StoreError`."""
        saved = (await self.passes.horizon()).passes
        if saved == self._shown:
            return
        last = await self.passes.latest()
        if last is not None:
            await self.show(last)
            saved = last.horizon.passes
        self._shown = saved

    async def _follow(self) -> None:
        while True:
            self.pulse.beat("follow", _HANGS)
            try:
                leads = await self.leadership.take()
                self.store_answers(True)
                if leads:
                    self.pulse.rest("follow")
                    return
                self.role(ReplicaRole.FOLLOWER)
                await self.catch_up()
            except StoreError as error:
                self.role(ReplicaRole.FOLLOWER)
                self.store_answers(False)
                log.error("The store does not answer", action="follow_failed", error=str(error))
            await self.sleep(_FOLLOW)

    async def _lead(self) -> None:
        self.role(ReplicaRole.LEADER)
        # What began last is ended first: the lease is kept until every pass has ended.
        async with AsyncExitStack() as stack:
            work = [self.leadership.keep(), self.audience.run()]
            for post in self.posts.values():
                post.begin()
                post.schedule = Schedule(partial(self._due_pass, post), self.every)
                work += [
                    post.schedule.run(),
                    post.hint_queue.answer(
                        partial(self._hinted_pass, post), partial(self._forget, post)
                    ),
                ]
            # Each runs until it is cancelled; one that ended all the same is begun anew.
            parts = [
                await stack.enter_async_context(_running(each)) for each in (*work, self._collect())
            ]
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            if not self.leadership.leads:
                self.role(ReplicaRole.FOLLOWER)
        self.pulse.rest("collect")
        for post in self.posts.values():
            post.schedule = None
            self.pulse.rest(post.part)

    async def stop(self) -> None:
        """Let another replica lead at once; after `run` was cancelled."""
        with suppress(StoreError):
            await self.leadership.give_back()

    async def _collect(self) -> None:
        """Take in what replicas were told, this one and the others.

        The store keeps each hint until a pass that followed it was saved: whoever leads after one
        that was killed follows it again.
        """
        while True:
            self.pulse.beat("collect", _HANGS)
            self._left.clear()
            try:
                found = {hint: n for n, hint in (await self.hints.waiting(self.source)).items()}
                known = by_source(found, self.posts)
                for name, hints in known.items():
                    self.posts[name].hear({hint: found[hint] for hint in hints})
                strange = found.keys() - frozenset().union(*known.values())
                await self.hints.done(self.source, [found[hint] for hint in strange])
            except StoreError as error:
                log.error("The store does not answer", action="hints_failed", error=str(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await self._left.wait()

    async def _due_pass(self, post: Post) -> float | None:
        return (await self._made(self._due(post), Coverage.FULL, post)).retry_in

    async def _due(self, post: Post) -> Pass:
        if self.refreshed is not None:
            async with self._renewing:
                self.passes.stages = await self.refreshed(self.passes.stages)
        return await self.passes.run(await self.passes.next_pass(self._watched(post)))

    def _watched(self, post: Post) -> PassOptions:
        """Options of a pass that shows with each step that it has not come to a stop."""

        def heard(stage: str, done: int) -> None:
            self.pulse.beat(post.part, _PASS_HANGS)
            self.wish.progress(stage, done)

        return replace(self.wish, progress=heard, source=post.source)

    async def _made(self, work: Awaitable[Pass], kind: Coverage, post: Post) -> Pass:
        """A pass, told to everybody. One that breaks is a failed one, and its error raised on."""
        self.pulse.beat(post.part, _PASS_HANGS)
        try:
            done = await work
        except (LeadLost, StoreConflict):
            raise  # another one makes it
        except Exception as error:
            ours = isinstance(error, FesterError)
            failure = (
                str(error)
                if ours
                else (
                    f"the pass broke ({type(error).__name__}), by a fault in Fester or in an "
                    "extension: its log says where"
                )
            )
            await self._tell(self.passes.failed(failure, kind, post.source))
            raise
        finally:
            self.pulse.rest(post.part)
        await self._tell(done)
        return done

    async def _hinted_pass(self, post: Post, hints: frozenset[Hint]) -> frozenset[Hint]:
        """Read what hints speak of; gives the hints that could not be followed."""
        post.follow(hints)
        if something(post.source) in hints and post.schedule is not None:
            post.schedule.poke()
        grouped = await self.passes.in_groups(hinted_groups(hints), post.source)
        ids = hinted_projects(hints, grouped)
        if not ids:
            return frozenset()
        files = self.passes.stages.translator.files
        request = ScrapeRequest(files, only=tuple(sorted(ids)))
        wish = replace(self._watched(post), request=request)
        done = await self._made(self.passes.run(wish), Coverage.SELECTED, post)
        if done.report.outcome is Outcome.FAILED or done.retry_in is not None:
            return hints
        seen = ((number, done.observations.get(number)) for number in ids)
        return frozenset(Hint(number) for number, each in seen if each and each.unreadable)

    async def _forget(self, post: Post, hints: frozenset[Hint]) -> None:
        """Hints that are over need not survive this process any longer.

        That something changed is over before the pass that asks what: whoever leads begins with
        such a pass.
        """
        try:
            await self.hints.done(self.source, post.forget(hints))
        except StoreError as error:
            log.error("Hints are followed again", action="hints_failed", error=str(error))

    async def _tell(self, done: Pass) -> None:
        async with self._showing:
            # Passes overlap: an older one must not be shown over a newer one.
            # A failed one shows no files, only that it failed.
            failed = done.report.outcome is Outcome.FAILED
            if failed or done.horizon.passes >= self._shown:
                await self.show(done)
                self._shown = max(self._shown, done.horizon.passes)
        self.account(done)
        if done.report.outcome is not Outcome.FAILED and not self.wish.dry_run:
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
    except Exception:
        log.exception("A part of the service broke", action="service_part_broke")

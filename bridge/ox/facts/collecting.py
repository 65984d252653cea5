"""The step after each pass: who is due is asked, what they say is recorded and shown.

One collector's failure never fails the others nor the pass: its facts become unknown, with the
reason. One that is slow keeps nobody waiting: what the others said is told meanwhile. Nothing here
waits for a pass, and no pass waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any, Final, cast

import structlog

from bridge.errors import StoreError
from bridge.model.entities import Catalog, Json, Ref
from bridge.model.facts import CollectorRound, FactBoard, FactSchema, Reading, Standing, Subject
from bridge.model.memory import Memory
from bridge.model.scrape import Observation
from bridge.ox.facts.conform import conform
from bridge.ox.facts.pushing import pushed
from bridge.ox.facts.readings import unknown_reading
from bridge.ox.facts.subjects import matches, subjects_of
from bridge.ox.interfaces import FactStore
from bridge.ports import FactCollector
from bridge.secret.masks import masked

log = structlog.get_logger()

RETRY: Final = 24  # what is unknown is asked again after a part of the cadence
ROUND_TIMEOUT: Final = 1800.0  # seconds that a collector may take for one round
PRUNE: Final = 86_400.0
LOOK: Final = 30.0  # seconds between two looks at what other replicas recorded
NOTIFY_EVERY: Final = 30.0  # seconds until news are told although a collector still works
_RECORDED_AT_ONCE: Final = 500
_SHOWN: Final = 300  # characters of somebody else's error
_FLOOD: Final = 1_000  # readings that nobody asked for, beside one or two of each entity
_TURN: Final = 50  # readings after which others have their turn

OnChange = Callable[[FactBoard], Awaitable[None]]
OnRecord = Callable[[int], None]


async def ignore(board: FactBoard) -> None:
    """What hears of new facts where nobody wants to."""


def uncounted(readings: int) -> None:
    """What hears of recorded readings where nobody counts them."""


class _Flood(Exception):
    """A collector gives more than anybody can have asked for."""


class FactService:
    """Holds the board of facts, and brings it up to date after every pass.

    `on_change` is told of the board after a round and after facts were pushed; `pushable` are
    schemas of facts that no collector brings, but whoever pushes them. A collector has
    `round_timeout` seconds; news are told every `notify_every` seconds while one still works.
    Call `load` once before anything else.
    """

    def __init__(
        self,
        source: str,
        collectors: Sequence[FactCollector],
        store: FactStore,
        clock: Callable[[], datetime],
        *,
        pushable: Sequence[FactSchema] = (),
        on_change: OnChange = ignore,
        round_timeout: float = ROUND_TIMEOUT,
        notify_every: float = NOTIFY_EVERY,
    ) -> None:
        self._source = source
        self._collectors = tuple(collectors)
        self._store = store
        self._clock = clock
        self._round_timeout = round_timeout
        self._notify_every = notify_every
        self._pushable = tuple(pushable)
        self._on_change = on_change
        self._on_record: OnRecord = uncounted
        self._entities: frozenset[Ref] = frozenset()
        self._pruned: datetime | None = None
        self._newest: datetime | None = None  # of the readings that are shown
        self.rounds: dict[str, CollectorRound] = {}
        schemas = (*(collector.schema for collector in collectors), *pushable)
        self.board = FactBoard(schemas)

    async def load(self) -> None:
        """Show what was known before a restart. Raises `StoreError`."""
        ids = {schema.id for schema in self.board.schemas}
        stored = await self._store.latest_facts(self._source)
        latest = {
            ref: kept
            for ref, readings in stored.items()
            if (kept := {key: each for key, each in readings.items() if key in ids})
        }
        moments = [each.seen_at for readings in latest.values() for each in readings.values()]
        self._entities |= latest.keys()  # a pass tells them all
        self._newest = max(moments, default=None)
        self.board = FactBoard(self.board.schemas, latest, self._newest)

    async def follow(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Take over what other replicas record, until cancelled."""
        while True:
            await sleep(LOOK)
            try:
                await self.catch_up()
            except StoreError as error:
                log.error("The store does not answer", action="facts_failed", error=str(error))

    async def catch_up(self) -> None:
        """Load what the store holds, and tell it, if another replica recorded something newer."""
        newest = await self._store.facts_seen_at(self._source)
        if newest is not None and (self._newest is None or newest > self._newest):
            await self.load()
            await self._on_change(self.board)

    async def after_pass(
        self,
        catalog: Catalog,
        memory: Memory,
        observations: Mapping[int, Observation],
        *,
        all_batches: bool = False,
        on_record: OnRecord = uncounted,
    ) -> None:
        """Ask every collector about the entities that are due. Raises `StoreError`.

        A collector is asked about one batch; with `all_batches`, about one after the other until
        nobody is due or its time is over, for who makes one pass and then ends. `on_record` hears
        how many readings each bunch had that was recorded.
        """
        self._on_record = on_record
        subjects = await asyncio.to_thread(subjects_of, catalog, memory, observations)
        self._entities = frozenset(subject.ref for subject in subjects)
        self._forget_others()
        rounds = [
            asyncio.create_task(self._round(collector, subjects, all_batches=all_batches))
            for collector in self._collectors
        ]
        try:
            await self._told_meanwhile(rounds)
        finally:
            for each in rounds:
                each.cancel()
            results = await asyncio.gather(*rounds, return_exceptions=True)
        await self._prune()
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _told_meanwhile(self, rounds: Sequence[asyncio.Task[None]]) -> None:
        """Wait for all rounds; whoever listens hears at their end, and of news in between."""
        told, waiting = self.board, set(rounds)
        while waiting:
            _, waiting = await asyncio.wait(waiting, timeout=self._notify_every)
            if waiting and self.board is not told:
                told = self.board
                try:
                    await self._on_change(told)
                except StoreError as error:  # the end of the rounds tries again
                    log.error("New facts wait", action="facts_wait", error=str(error))
        await self._on_change(self.board)

    async def record(self, readings: Sequence[Reading]) -> None:
        """Keep and show readings, whoever made them. Raises `StoreError`."""
        if readings:
            await self._store.record_facts(self._source, readings)
            newest = max(reading.seen_at for reading in readings)
            self._newest = newest if self._newest is None else max(newest, self._newest)
            self._show(readings)
            self._on_record(len(readings))

    async def push(self, body: Json) -> int:
        """Record what somebody pushed; gives how many readings that was.

        Raises `FactsRefused` with every problem, and then records none; or `StoreError`.
        """
        readings = await asyncio.to_thread(
            pushed, body, self._pushable, self._entities, self._clock()
        )
        await self.record(readings)
        await self._on_change(self.board)
        return len(readings)

    async def between(
        self, entity: Ref, retrievers: Sequence[str], start: datetime, end: datetime
    ) -> Sequence[Reading]:
        """The history of an entity's facts. Raises `StoreError`."""
        return await self._store.facts_between(self._source, entity, retrievers, start, end)

    async def _round(
        self, collector: FactCollector, subjects: Sequence[Subject], *, all_batches: bool
    ) -> None:
        """One collector's work after one pass."""
        schema, loop = collector.schema, asyncio.get_running_loop()
        asked = await asyncio.to_thread(due, schema, subjects, self.board.latest, self._clock())
        batch = schema.batch or len(asked)
        until = loop.time() + self._round_timeout
        done = failed = 0
        for start in range(0, len(asked) if all_batches else min(batch, len(asked)), batch or 1):
            if loop.time() >= until:
                log.warning(
                    "There was no time to ask about every entity",
                    action="facts_left",
                    collector=schema.id,
                    left=len(asked) - start,
                )
                break
            part = asked[start : start + batch]
            failed += await self._batch(collector, part, until)
            done += len(part)
        self.rounds[schema.id] = CollectorRound(self._clock(), done, failed, len(asked) - done)

    async def _batch(self, collector: FactCollector, asked: Sequence[Subject], until: float) -> int:
        """Ask about these; of whom nothing was said because it failed, the facts are unknown.

        Gives how many those are.
        """
        schema = collector.schema
        waiting = {subject.ref for subject in asked}
        failure = ""
        bound = asyncio.timeout_at(until)
        try:
            async with bound:
                await self._ask(collector, asked, waiting)
        except StoreError:
            raise
        except Exception as error:
            if isinstance(error, TimeoutError) and bound.expired():
                failure = f"the collector did not end within {self._round_timeout:.0f} s"
                log.error("A collector hangs", action="collector_hangs", collector=schema.id)
            else:
                failure = masked(f"the collector failed: {type(error).__name__}: {error}")[:_SHOWN]
                log.exception("A collector failed", action="collector_failed", collector=schema.id)
        if failure:
            now = self._clock()
            lost = (
                unknown_reading(schema, ref, now, schema.id, failure) for ref in sorted(waiting)
            )
            await self.record(tuple(lost))
        log.info(
            "Facts were collected",
            action="facts_collected",
            collector=schema.id,
            asked=len(asked),
            failed=len(waiting) if failure else 0,
        )
        return len(waiting) if failure else 0

    async def _ask(
        self, collector: FactCollector, asked: Sequence[Subject], waiting: set[Ref]
    ) -> None:
        """Record what comes as it comes, so that a long round is not lost with its end."""
        held: list[Reading] = []
        given = cast(Any, collector.collect(asked))
        taken = 0
        try:
            async with aclosing(given) as readings:
                async for reading in readings:
                    taken += 1
                    if taken > _FLOOD + 2 * len(asked):
                        raise _Flood(f"it gives readings without end ({taken:,} so far)")
                    if taken % _TURN == 0:
                        await asyncio.sleep(0)  # one that never waits must not stop all else
                    sound = conform(collector.schema, reading, self._clock())
                    if sound is None or sound.entity not in waiting:
                        continue
                    waiting.discard(sound.entity)
                    held.append(sound)
                    if len(held) >= _RECORDED_AT_ONCE:
                        await self.record(held)
                        held = []
        finally:
            await self.record(held)

    def _show(self, readings: Iterable[Reading]) -> None:
        latest = dict(self.board.latest)
        for reading in readings:
            known = latest.get(reading.entity, {})
            old = known.get(reading.retriever)
            if old is None or old.seen_at <= reading.seen_at:
                latest[reading.entity] = {**known, reading.retriever: reading}
        self.board = FactBoard(self.board.schemas, latest, self._clock())

    def _forget_others(self) -> None:
        """What is in the catalog no more is shown no more; the store still has its history."""
        latest = {ref: known for ref, known in self.board.latest.items() if ref in self._entities}
        if len(latest) != len(self.board.latest):
            self.board = FactBoard(self.board.schemas, latest, self._clock())

    async def _prune(self) -> None:
        now = self._clock()
        if self._pruned is None or (now - self._pruned).total_seconds() >= PRUNE:
            self._pruned = now
            await self._store.prune_facts(self._source, now)


def due(
    schema: FactSchema,
    subjects: Sequence[Subject],
    latest: Mapping[Ref, Mapping[str, Reading]],
    now: datetime,
) -> tuple[Subject, ...]:
    """Those that a collector is to be asked about now, longest unseen first."""
    ages: list[tuple[float, Ref, Subject]] = []
    for subject in subjects:
        if not matches(schema.entity_filter, subject.body):
            continue
        known = latest.get(subject.ref, {}).get(schema.id)
        if known is None or known.version != schema.version:
            ages.append((float("-inf"), subject.ref, subject))
            continue
        age = (now - known.seen_at).total_seconds()
        unsure = any(fact.standing is Standing.UNKNOWN for fact in known.facts)
        wait = schema.cadence / RETRY if unsure else schema.cadence
        if age >= wait or (schema.with_crawl and subject.observation is not None):
            ages.append((-age, subject.ref, subject))
    ages.sort(key=lambda each: each[:2])
    return tuple(subject for _, _, subject in ages)

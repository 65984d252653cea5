"""Passes in a row by one process: what is known stays resident, and passes may overlap.

A full sweep of a large GitLab takes minutes. A push must not wait for it: a pass over a few
projects reads, publishes and saves while the sweep still reads. When the sweep ends it is
concluded on top of what such passes left behind, and theirs counts for the projects they settled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from bridge.errors import StoreError
from bridge.model.memory import Memory
from bridge.model.scrape import ScrapeRequest
from bridge.passes.destinations import settle
from bridge.passes.pipeline import (
    Known,
    Pass,
    PassOptions,
    Scraped,
    Stages,
    conclude,
    load,
    overtaken_by_another,
    scrape,
)
from bridge.passes.reconcile import gaps_to_retry, merge_concurrent

log = structlog.get_logger()

_TRIES = 3  # of a small pass that other passes overtook


@dataclass(slots=True, eq=False)
class _PassInFlight:
    """A pass that is reading, and the projects that other passes of ours settled meanwhile.

    `passes` is the number of the last pass that it builds on, those others counted.
    """

    passes: int
    touched: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Passes:
    """Makes passes on one source. At most one of them concludes at a time.

    What is known is loaded once, and again only when another process has saved a pass. A pass that
    is cancelled while it reads ends at once; one that publishes has `grace` seconds to end cleanly.
    """

    stages: Stages
    full_every: float = 6 * 3600.0
    grace: float = 30.0
    _known: Known | None = None
    _concluding: asyncio.Lock = field(default_factory=asyncio.Lock)
    _under_way: list[_PassInFlight] = field(default_factory=list)
    _settled: frozenset[str] = frozenset()  # the destinations that are known to be ours

    async def known(self) -> Known:
        """What is known now. Raises `StoreError`."""
        async with self._concluding:
            return await self._current()

    @property
    def last_known(self) -> Known:
        """What was known last, whatever the store does now."""
        return self._known or Known()

    async def ready(self, wish: PassOptions) -> Known:
        """What a pass builds on, once its destinations are known to be ours.

        Raises `ConfigurationError` for those that are another's, and what `settle` raises.
        """
        async with self._concluding:
            known = await self._current()
            if {exporter.name for exporter in self.stages.exporters} <= self._settled:
                return known
            found = await settle(self.stages, known, wish, self._settled)
            self._known = replace(found.known, unsettled=found.unsettled)
            if not wish.dry_run:
                self._settled |= found.names
            return self._known

    async def run(self, wish: PassOptions) -> Pass:
        """One pass, on top of the one before. Raises what `run_pass` of the pipeline raises."""
        small = bool(wish.request and wish.request.only)
        for tries_left in reversed(range(_TRIES)):
            known = await self.ready(wish)
            mine = _PassInFlight(known.memory.horizon.passes)
            translator = self.stages.translator
            self._under_way.append(mine)
            try:
                scraped = await scrape(self.stages, wish, known)
                if isinstance(scraped, Pass):
                    return scraped
                async with self._concluding:
                    # Mappings may have been read anew meanwhile, for a sweep that counts on it.
                    overtaken = small and (
                        mine.touched & scraped.recollection.seen
                        or self.stages.translator is not translator
                    )
                    if not overtaken or not tries_left:
                        return await self._shielded(self._conclude(wish, scraped, mine))
            finally:
                self._under_way.remove(mine)
            # Who was first to read cannot be told: a few projects are soon read again.
        raise AssertionError("the last try always concludes")

    async def next_pass(self, wish: PassOptions) -> PassOptions:
        """What the pass that is due now is to ask for: what changed, or everything."""
        memory = (await self.ready(wish)).memory
        now = self.stages.clock()
        files = self.stages.translator.files
        why = why_sweep(memory, self.stages.scope, now, self.full_every)
        if why:
            log.info("A full sweep is due", action="sweep_due", why=why)
            return replace(wish, request=ScrapeRequest(files))
        since = datetime.fromisoformat(memory.horizon.listed_at)
        again = gaps_to_retry(memory, now)
        return replace(wish, request=ScrapeRequest(files, since=since, also=again))

    async def _current(self) -> Known:
        source, store = self.stages.scraper.name, self.stages.store
        if self._known is not None:
            if await store.passes_saved(source) == self._known.memory.horizon.passes:
                return self._known
            log.info("Another process made a pass; loading it", action="memory_reloaded")
        self._known = await load(self.stages)
        return self._known

    async def _shielded(self, work: Coroutine[Any, Any, Pass]) -> Pass:
        task = asyncio.ensure_future(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task], timeout=self.grace)
            task.cancel()
            raise

    async def _conclude(self, wish: PassOptions, scraped: Scraped, mine: _PassInFlight) -> Pass:
        known = await self._current()
        if known.memory.horizon.passes != mine.passes:
            # What the other one settled is not known here: to save over it could undo it.
            raise overtaken_by_another(self.stages.scraper.name)
        base = scraped.recollection.before.horizon
        memory = merge_concurrent(scraped.memory, known.memory, frozenset(mine.touched), base)
        try:
            done = await conclude(self.stages, wish, known, replace(scraped, memory=memory))
        except StoreError:
            self._known = None  # what the store holds now is not known
            raise
        if not wish.dry_run:
            self._known = Known(done.memory, done.record, unsettled=known.unsettled)
            for other in self._under_way:
                if other is not mine:
                    other.touched |= scraped.recollection.settled
                    if other.passes == known.memory.horizon.passes:  # else it is lost already
                        other.passes = done.memory.horizon.passes
        return done


def why_sweep(memory: Memory, scope: str, now: datetime, full_every: float) -> str:
    """Why everything must be read, as a sentence part; "" when what changed is enough."""
    horizon = memory.horizon
    if not (horizon.listed_at and horizon.swept_at):
        return "no full sweep has been complete yet"
    if horizon.scope != scope:
        return "the mappings or the filters are not those of the last full sweep"
    if now - datetime.fromisoformat(horizon.swept_at) >= timedelta(seconds=full_every):
        return f"the last one is more than {full_every / 3600:g} hours old"
    if datetime.fromisoformat(horizon.listed_at) > now + timedelta(minutes=5):
        return "the last pass lies in the future: the clock was set back"
    return ""

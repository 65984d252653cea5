"""Gives the demo a past: 90 days that are made up, so that trends and changes can be seen."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from bridge.model.entities import Catalog
from bridge.model.memory import Memory
from bridge.model.scrape import Observation
from bridge.ox.after_pass import AfterPass
from bridge.ox.facts.collecting import OnRecord, uncounted
from bridge.sandbox.past import DAYS, earlier_censuses, earlier_changes, earlier_facts
from bridge.store import SqlStore
from bridge.wiring.census import KEPT
from bridge.wiring.clock import utc_now

NOTICE: Final = (
    "A demonstration: Kestrel Ferries, its people and its services are made up, and so is all that "
    f"is told of the {DAYS} days before it was first started."
)


@dataclass(frozen=True, slots=True)
class WithPast(AfterPass):
    """The steps after a pass, the first time with a past before the digests look back at it."""

    store: SqlStore | None = None
    source: str = ""
    _told: list[bool] = field(default_factory=list)

    async def facts_and_scores(
        self,
        catalog: Catalog,
        memory: Memory,
        observations: Mapping[int, Observation],
        *,
        all_batches: bool = False,
        on_record: OnRecord = uncounted,
    ) -> None:
        """Collect and score; then make the past up, where there is none. Raises `StoreError`."""
        await AfterPass.facts_and_scores(
            self, catalog, memory, observations, all_batches=all_batches, on_record=on_record
        )
        if self.store is not None and not self._told:
            self._told.append(True)
            await self._make_up(self.store, catalog)

    async def _make_up(self, store: SqlStore, catalog: Catalog) -> None:
        now = utc_now()
        counted = await store.censuses.since(self.source, (now - timedelta(days=DAYS)).date())
        if len(counted) != 1:
            return  # a folder of an earlier demo has its past already
        for census in earlier_censuses(counted[0]):
            await store.censuses.keep(self.source, census, (census.at - KEPT).date())
        changes = await asyncio.to_thread(earlier_changes, catalog.entities, now)
        await store.entity_changes.add(self.source, changes)
        await self.scores.backfill(earlier_facts(self.facts.board.latest, now))


def with_past(after_pass: AfterPass, store: SqlStore, source: str) -> WithPast:
    """The same steps, for a demo."""
    return WithPast(
        after_pass.facts, after_pass.scores, after_pass.collects, store=store, source=source
    )

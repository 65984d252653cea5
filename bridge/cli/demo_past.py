"""Gives the demo a past: 90 days that are made up, so that trends and changes can be seen."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from bridge.model.entities import Catalog
from bridge.ox.after_pass import AfterPass
from bridge.ox.facts.collecting import FactService
from bridge.ox.scores.scorekeeping import Scorekeeper
from bridge.sandbox.past import DAYS, earlier_censuses, earlier_changes, earlier_facts
from bridge.store import SqlStore
from bridge.wiring.census import KEPT
from bridge.wiring.clock import utc_now

NOTICE: Final = (
    "A demonstration: Kestrel Ferries, its people and its services are made up, and so is all that "
    f"is told of the {DAYS} days before it was first started."
)


@dataclass(slots=True)
class Past:
    """Makes the past up after the first scores, before the digests look back at it."""

    facts: FactService
    scores: Scorekeeper
    store: SqlStore
    source: str
    _told: bool = False

    async def make_up(self, catalog: Catalog) -> None:
        """Make it up, where there is none. Raises `StoreError`."""
        if self._told:
            return
        self._told = True
        now = utc_now()
        counted = await self.store.censuses.since(self.source, (now - timedelta(days=DAYS)).date())
        if len(counted) != 1:
            return  # a folder of an earlier demo has its past already
        for census in earlier_censuses(counted[0]):
            await self.store.censuses.keep(self.source, census, (census.at - KEPT).date())
        changes = await asyncio.to_thread(earlier_changes, catalog.entities, now)
        await self.store.entity_changes.add(self.source, changes)
        await self.scores.backfill(earlier_facts(self.facts.board.latest, now))


def with_past(after_pass: AfterPass, store: SqlStore, source: str) -> AfterPass:
    """The same steps, for a demo."""
    past = Past(after_pass.facts, after_pass.scores, store, source)
    return replace(after_pass, on_scores=past.make_up)

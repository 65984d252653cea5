"""Keeps a census at the end of every full pass, for the page of problems and their trend."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from bridge.answers.census import census_of
from bridge.answers.owners import Owners
from bridge.api.live import Live
from bridge.model.runs import Outcome, Report
from bridge.model.scrape import Coverage
from bridge.store.censuses import SqlCensuses

KEPT: Final = timedelta(days=366)


@dataclass(slots=True)
class CensusTaker:
    """Hears of every pass that is shown in `live`, and counts when a full one was among them."""

    censuses: SqlCensuses
    source: str  # the name by which the store knows the catalog
    live: Live
    _due: Report | None = None

    def hear(self, report: Report) -> None:
        """Note a pass that was made here; small ones may follow before anything is counted."""
        if report.kind is Coverage.FULL and report.outcome is not Outcome.FAILED:
            self._due = report

    async def count(self) -> None:
        """Keep the census that is due. Raises `StoreError`: it stays due until it is kept."""
        full = self._due
        began = full.started_at if full is not None else None
        if full is None or began is None or self.live.report is None:
            return
        problems, index = self.live.report.problems, self.live.index
        gitlabs = self.live.gitlabs
        census = await asyncio.to_thread(
            lambda: census_of(full, began, problems, Owners.of(index, gitlabs))
        )
        await self.censuses.keep(self.source, census, (census.at - KEPT).date())
        if self._due is full:  # no other was heard of meanwhile
            self._due = None

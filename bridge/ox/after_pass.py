"""What follows a pass, in its order: facts, then scores, then remediation, then notices."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from bridge.errors import FesterError
from bridge.model.entities import Catalog
from bridge.model.initiatives import Progress
from bridge.model.memory import Memory
from bridge.model.scrape import Observation
from bridge.ox.facts.collecting import FactService, OnRecord, uncounted
from bridge.ox.notices.notifying import Notifier
from bridge.ox.notices.occasions import Sightings
from bridge.ox.remediation.assignment import Assignment, Grounds
from bridge.ox.remediation.posting import Digesting
from bridge.ox.scores.initiatives import Initiatives, promised
from bridge.ox.scores.scorekeeping import Scorekeeper

log = structlog.get_logger()


async def unheard(catalog: Catalog) -> None:
    """What hears that a catalog was scored where nobody wants to."""


@dataclass(frozen=True, slots=True)
class AfterPass:
    """The steps after a pass was published and saved; none of them changes what it published.

    With `collects`, collectors are asked, and `facts` tell `scores` of all that is new (also of
    what is pushed later). `on_scores` hears of each catalog that was scored. `remediation`,
    `digests` and `notices` are None where nobody wants them.
    """

    facts: FactService
    scores: Scorekeeper
    collects: bool = True
    remediation: Assignment | None = None
    digests: Digesting | None = None
    notices: Notifier | None = None
    goals: Initiatives | None = None
    on_scores: Callable[[Catalog], Awaitable[None]] = unheard

    async def run(
        self, catalog: Catalog, memory: Memory, observations: Mapping[int, Observation]
    ) -> None:
        """Every step. One that fails is logged, and the next goes on with what is there."""
        await tried(lambda: self.facts_and_scores(catalog, memory, observations))
        await tried(lambda: self.remediate(catalog, memory))
        await tried(self.notify)
        await tried(self.make_digests)

    async def facts_and_scores(
        self,
        catalog: Catalog,
        memory: Memory,
        observations: Mapping[int, Observation],
        *,
        all_batches: bool = False,
        on_record: OnRecord = uncounted,
    ) -> None:
        """Ask the collectors about whoever is due, and score. Raises `StoreError`.

        With `all_batches` about everybody who is due, for who makes one pass and then ends.
        `on_record` hears how many readings each bunch had.
        """
        self.scores.take_catalog(catalog)
        if self.collects:
            await self.facts.after_pass(
                catalog, memory, observations, all_batches=all_batches, on_record=on_record
            )
        else:
            await self.scores.evaluate(self.facts.board.latest)
        await self.on_scores(catalog)

    async def remediate(self, catalog: Catalog, memory: Memory) -> None:
        """Plan, and carry out what may be. Raises `StoreError`."""
        board = self.scores.board
        if self.remediation is not None and board is not None:
            waited = promised(await self._progress())
            grounds = Grounds(board, self.scores.rubric, catalog, memory, waited)
            await self.remediation.run(grounds)

    async def notify(self) -> None:
        """Note what is news for teams, and send what waits. Raises `StoreError`."""
        board = self.scores.board
        if self.notices is not None and board is not None:
            progress = await self._progress()
            seen = Sightings(board, self.scores.rubric, self.facts.board.latest, progress)
            await self.notices.run(seen)

    async def make_digests(self) -> None:
        """Make the week's digests, and send those that were not sent. Raises `StoreError`."""
        board = self.scores.board
        if self.digests is not None and board is not None:
            await self.digests.run(board, self.facts.board.latest, await self._progress())

    async def _progress(self) -> Sequence[Progress]:
        return await self.goals.progress() if self.goals is not None else ()


async def tried(step: Callable[[], Awaitable[None]]) -> None:
    """Make one step after a pass; when it fails that is logged, and the others go on."""
    try:
        await step()
    except FesterError as error:  # it says what to do, and where it comes from helps nobody
        log.error("A step after a pass failed", action="after_pass_failed", reason=str(error))
    except Exception:
        log.exception("A step after a pass failed", action="after_pass_failed")

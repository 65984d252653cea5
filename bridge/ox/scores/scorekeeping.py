"""Keeps the scoreboard up to date: after each pass and after new facts, by the rubric of then.

The board is swapped whole. Replicas that make no passes take over the board that the leader saved.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Final

import structlog

from bridge.errors import StoreError
from bridge.model.entities import Catalog, CatalogEntity, Ref
from bridge.model.facts import Reading
from bridge.model.problems import Problem
from bridge.model.rubric_trials import RubricTrial
from bridge.model.scores import (
    Check,
    CheckResult,
    Rollup,
    RollupDay,
    RollupKind,
    Rubric,
    Scoreboard,
    ScoreChange,
    ScoreDay,
    Waiver,
)
from bridge.ox.interfaces import ScoreStore
from bridge.ox.scores.changes import flips, score_change
from bridge.ox.scores.rubric_in_force import RubricFile
from bridge.ox.scores.rubric_trial import try_rubric
from bridge.ox.scores.scoreboard import EarlierScores, evaluate

log = structlog.get_logger()

LOOK: Final = 5.0  # seconds between two looks for a board that another replica saved

WaiverSource = Callable[[], Awaitable[Mapping[Ref, Sequence[Waiver]]]]
Latest = Mapping[Ref, Mapping[str, Reading]]


async def no_waivers() -> Mapping[Ref, Sequence[Waiver]]:
    """Where nobody waives but the rubric and the manifests."""
    return {}


class Scorekeeper:
    """Holds the latest board; evaluates one at a time.

    `waivers` is asked for those that hold besides those of the rubric and the manifests.
    """

    def __init__(
        self,
        source: str,
        rubric: RubricFile,
        store: ScoreStore,
        clock: Callable[[], datetime],
        waivers: WaiverSource = no_waivers,
    ) -> None:
        self._source = source
        self._file = rubric
        self._store = store
        self._clock = clock
        self._evaluating = asyncio.Lock()
        self._earlier = EarlierScores()
        self._board: Scoreboard | None = None
        self._facts: Latest = {}
        self._trying = asyncio.Lock()
        self._trial: tuple[tuple[str, Scoreboard | None], RubricTrial] | None = None
        self.flips: Counter[tuple[str, str]] = Counter()
        self._waivers = waivers
        self._catalog: Catalog | None = None  # of the last pass; None where none are made

    @property
    def board(self) -> Scoreboard | None:
        """The latest board; None while nothing was evaluated."""
        return self._board

    @property
    def rubric(self) -> Rubric:
        """The rubric in force."""
        return self._file.good.rubric

    @property
    def problems(self) -> Sequence[Problem]:
        """Why the rubric's file is not the rubric in force."""
        return self._file.problems

    def checks(self) -> Sequence[Check]:
        """Every check, in the rubric's order."""
        return self.rubric.checks

    def results(self, entity: Ref) -> Sequence[CheckResult]:
        """How they stand for an entity; none for one that was not scored."""
        score = self._board.scores.get(entity) if self._board else None
        return score.results if score else ()

    async def load(self) -> None:
        """Show the board that was saved last. Raises `StoreError`."""
        at = await self._store.scored_at(self._source)
        if at is not None and (self._board is None or self._board.at < at):
            self._board = await self._store.latest_scores(self._source)

    async def follow(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Take over what other replicas save, and the rubric's changes, until cancelled."""
        while True:
            await sleep(LOOK)
            try:
                await self.look_at_rubric()
                await self.load()
            except StoreError as error:
                log.error("The store does not answer", action="scores_failed", error=str(error))

    async def look_at_rubric(self) -> None:
        """Read the rubric's file again if it has changed, and then score by it.

        Raises `StoreError`; the next look tries again.
        """
        loaded = await asyncio.to_thread(self._file.current)
        if self._board is not None and self._board.rubric != loaded.rubric.version:
            await self.evaluate(self._facts)

    def take_catalog(self, catalog: Catalog | None) -> None:
        """What is scored from now on: the last pass's; None where another replica makes them."""
        self._catalog = catalog

    async def evaluate(self, latest: Latest) -> None:
        """Make, save and show the board of the catalog that was last told, if there is one.

        Raises `StoreError`.
        """
        async with self._evaluating:
            self._facts = latest
            catalog = self._catalog
            if catalog is None:
                return
            loaded = await asyncio.to_thread(self._file.current)
            given = await self._waivers()
            board = await asyncio.to_thread(
                evaluate,
                loaded,
                catalog.entities,
                latest,
                self._clock(),
                given,
                earlier=self._earlier,
            )
            await self._store.record_scores(self._source, board, loaded.rubric)
            if self._board is not None and self._board.rubric == board.rubric:
                self.flips.update(await asyncio.to_thread(flips, self._board, board))
            self._board = board
            log.info(
                "Services were scored",
                action="scored",
                services=len(board.services),
                rubric=board.rubric,
            )

    async def backfill(self, earlier: Iterable[tuple[datetime, Latest]]) -> None:
        """Add to the history how the catalog would have scored by facts of earlier moments.

        They come oldest first; the board that is shown stays the latest. Raises `StoreError`.
        """
        async with self._evaluating:
            board, catalog, loaded = self._board, self._catalog, self._file.good
            if board is None or catalog is None:
                return
            for at, latest in earlier:
                past = await asyncio.to_thread(evaluate, loaded, catalog.entities, latest, at)
                await self._store.record_scores(self._source, past, loaded.rubric)
            await self._store.record_scores(self._source, board, loaded.rubric)

    async def proposed(
        self, entities: Sequence[CatalogEntity], latest: Latest
    ) -> RubricTrial | None:
        """What `rubric.next.yaml` beside the rubric would move; None where there is no such file.

        Raises `ConfigurationError` with what is wrong with that file, or `StoreError`.
        """
        loaded = await asyncio.to_thread(self._file.proposed)
        if loaded is None:
            return None
        async with self._trying:  # of many who ask at once one works it out
            key = (loaded.rubric.version, self._board)
            if self._trial is None or self._trial[0] != key:
                given, now = await self._waivers(), self._clock()
                trial = await asyncio.to_thread(
                    try_rubric,
                    self._file.good,
                    loaded,
                    entities=entities,
                    readings=latest,
                    now=now,
                    given=given,
                )
                self._trial = (key, trial)
            return self._trial[1]

    async def trend(self, entity: Ref, start: date, end: date) -> Sequence[ScoreDay]:
        """The days on which a score changed, and what stood before. Raises `StoreError`."""
        return await self._store.score_trend(self._source, entity, start, end)

    async def rollup_trend(
        self, kind: RollupKind, name: str, start: date, end: date
    ) -> Sequence[RollupDay]:
        """The same of a roll-up. Raises `StoreError`."""
        return await self._store.rollup_trend(self._source, kind, name, start, end)

    async def rollups_on(self, kind: RollupKind, day: date) -> Mapping[str, Rollup]:
        """How roll-ups of a kind stood at the end of a day, by name. Raises `StoreError`."""
        return await self._store.rollups_on(self._source, kind, day)

    async def standing(self, entities: Sequence[Ref], day: date) -> Mapping[Ref, ScoreDay]:
        """How entities stood at the end of a day, those that had a score. Raises `StoreError`."""
        return await self._store.scores_on(self._source, entities, day)

    async def changes(
        self, entities: Sequence[Ref], start: date, end: date
    ) -> Sequence[ScoreChange]:
        """What changed between the ends of two days, in the order asked. Raises `StoreError`."""
        before = await self._store.scores_on(self._source, entities, start)
        after = await self._store.scores_on(self._source, entities, end)

        def compared() -> list[ScoreChange]:
            return [score_change(ref, before.get(ref), after.get(ref)) for ref in entities]

        return await asyncio.to_thread(compared)

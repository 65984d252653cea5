"""Passes in a row by one process: they may overlap, and build on what the one before has written.

A full sweep of a large GitLab takes minutes. A push must not wait for it: a pass over a few
projects reads, publishes and saves while the sweep still reads. What it settled counts: the sweep
passes over these projects.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from time import perf_counter
from typing import Any

import structlog

from bridge.errors import SourceError
from bridge.model.memory import Horizon, KnownProject
from bridge.model.numbers import FIRST, lane_of, mark_in, mark_of
from bridge.model.problems import with_sources
from bridge.model.reads import ReadKind
from bridge.model.runs import Outcome, Report
from bridge.model.scrape import Coverage, Observation, ScrapeRequest
from bridge.model.statements import Changes
from bridge.model.todo import Todo
from bridge.passes.account import Conclusion, failed, figures_of
from bridge.passes.destinations import OwnDestinations, Publisher, settle
from bridge.passes.due import gaps_to_retry, why_sweep
from bridge.passes.inheritance import (
    Inheritance,
    InheritingWish,
    in_groups,
    projects_below,
    with_projects,
)
from bridge.passes.intake import Intake, Overtaken
from bridge.passes.ledger import Ledger
from bridge.passes.makers import EntityMaker
from bridge.passes.pipeline import conclude, restate, scrape, taught
from bridge.passes.publish import Destinations
from bridge.passes.stages import Pass, PassOptions, Stages
from bridge.passes.together import counted_together, together
from bridge.passes.view import Known, View

log = structlog.get_logger()

_TRIES = 3  # of a small pass that other passes overtook
_MOST_INHERITING = 500  # projects that a small pass reads because their defaults changed


@dataclass(frozen=True, slots=True)
class _Learned:
    """What became of a maker in the last long pass, in an epoch of the ledger."""

    maker: EntityMaker
    epoch: int
    taught: EntityMaker


@dataclass(slots=True)
class Passes:
    """Makes passes on one source. At most one of them concludes at a time.

    A pass that is cancelled while it reads ends at once; one that publishes has `grace` seconds
    to end cleanly.
    """

    stages: Stages
    full_every: float = 6 * 3600.0
    grace: float = 30.0
    trial: bool = False  # on a copy of what is known, which may be written
    _ledger: Ledger = field(init=False)
    _view: View = field(init=False)
    _destinations: Destinations = field(init=False)
    _under_way: list[Intake] = field(default_factory=list)
    _learned: _Learned | None = None
    _inheritance: Inheritance = field(default_factory=Inheritance)
    _put_off: dict[str, frozenset[str]] = field(default_factory=dict)  # groups due, by source
    _ours: frozenset[str] = frozenset()  # the destinations that are known to be ours

    def __post_init__(self) -> None:
        self._ledger = Ledger(self.stages.store, self.stages.scraper.name)
        self._view = View(self._ledger)
        self._destinations = Destinations()

    def failed(self, failure: str, kind: Coverage, source: str = FIRST) -> Pass:
        """A pass that broke: it published nothing, and what was known last still stands."""
        report = Report(
            Outcome.FAILED,
            0.0,
            started_at=self.stages.clock().replace(microsecond=0),
            failure=failure,
            kind=kind,
            source=source,
            **figures_of(self._ledger.state),
        )
        return Pass(report, self._ledger.state.horizon, self.known, Changes())

    async def ready(self, wish: PassOptions) -> OwnDestinations:
        """Whether the destinations are ours; what lies there is adopted where it has to be.

        Raises `ConfigurationError` for those that are another's, and what `settle` raises.
        """
        async with self._ledger.lock:
            await self._ledger.refresh()
            return await self._settle(wish)

    async def known(self) -> Known:
        """All that is known now, which costs what all of it costs. Raises `StoreError`."""
        async with self._ledger.lock:
            return await self._view.known()

    async def horizon(self) -> Horizon:
        """How far the source is known now. Raises `StoreError`."""
        async with self._ledger.lock:
            await self._ledger.refresh()
            return self._ledger.state.horizon

    async def latest(self) -> Pass | None:
        """The last saved pass, whoever made it; None when none published anything."""
        async with self._ledger.lock:
            await self._ledger.refresh()
            found = await self._ledger.store.passes(self._ledger.source, 1)
            files = await self._ledger.files()
            horizon = self._ledger.state.horizon
        if not found or not files:
            return None
        return Pass(found[0], horizon, self.known, Changes(everything=True), files)

    async def with_problems(self, done: Pass) -> Pass:
        """A pass whose report also tells all that is wrong as things stand."""
        if done.standing is not None:
            standing = done.standing
        else:
            standing = await self._ledger.model.problems(self._ledger.source)
        told = (*done.report.problems, *with_sources(standing, self.stages.sources))
        return replace(done, report=replace(done.report, problems=told))

    async def gaps(self) -> list[KnownProject]:
        """The projects that cannot be read as things stand."""
        return await self._ledger.model.gaps(self._ledger.source)

    async def further_paths(self, project_id: int) -> frozenset[str]:
        """What is read of a project besides its root's manifests; folders end in `/`."""
        path = await self._inheritance.path_in(self._ledger, project_id) if self._keeps else ""
        own = {path} - {""}
        known = await self._ledger.model.reads.known(self._ledger.source, [project_id])
        files = known[project_id].reads.files.values() if project_id in known else ()
        return frozenset(own) | frozenset(
            f"{file.path}/" if file.kind is ReadKind.FOLDER else file.path for file in files
        )

    @property
    def _keeps(self) -> bool:
        """Whether a project of some source keeps defaults for groups."""
        readings = (self.stages.reading(source) for source in self.stages.sources)
        return any(each.defaults is not None for each in readings)

    async def in_groups(self, groups: Collection[str], source: str = FIRST) -> frozenset[int]:
        """The projects of a source that are known to lie in groups, by paths in lower case."""
        return await in_groups(self._ledger, groups, source)

    async def run(self, wish: PassOptions) -> Pass:
        """One pass over one source, on top of the ones before.

        A source that cannot be read at all, or destinations that all refuse, give
        `Outcome.FAILED` with the reason in `report.failure`; what was published before stands.
        Raises `StoreError` when the store fails: without it nothing is safe to remove;
        `StoreConflict` when somebody else saved a pass meanwhile, `LeadLost` when another leads.
        """
        if wish.dry_run and not self.trial:
            return await self._tried([wish])
        return await self._made(wish)

    async def run_all(self, wishes: Sequence[PassOptions]) -> Pass:
        """A pass over each of several sources, side by side, told as one. Raises as `run`.

        What one of them does not give holds up no other.
        """
        if len(wishes) == 1:
            return await self.run(wishes[0])
        if wishes[0].dry_run and not self.trial:
            return await self._tried(wishes)
        found = await asyncio.gather(
            *map(self._made, counted_together(wishes)), return_exceptions=True
        )
        for each in found:
            if isinstance(each, BaseException):
                raise each
        names = [self.stages.reading(wish.source).scraper.name for wish in wishes]
        return together([(n, p) for n, p in zip(names, found, strict=True) if isinstance(p, Pass)])

    async def _made(self, wish: PassOptions) -> Pass:
        for tries_left in reversed(range(_TRIES)):
            try:
                return await self._run(wish, yields=wish.small and tries_left > 0)
            except Overtaken:
                continue  # who was first to read cannot be told: a few projects are soon read again
        raise AssertionError("the last try always concludes")

    async def next_pass(self, wish: PassOptions) -> PassOptions:
        """What the pass that is due now is to ask for: what changed, or everything."""
        await self.ready(wish)
        stages = self.stages.reading(wish.source)
        horizon = (await self.horizon()).of(wish.source)
        now = stages.clock()
        files = stages.translator.files
        why = why_sweep(horizon, stages.scope, now, self.full_every)
        if why:
            log.info("A full sweep is due", action="sweep_due", why=why, source=stages.scraper.name)
            return replace(wish, request=ScrapeRequest(files))
        since = horizon.listed_at
        mark = mark_of(wish.source)
        gaps = [each for each in await self.gaps() if mark_in(each.project.id) == mark]
        again = gaps_to_retry(gaps, now)
        return replace(wish, request=ScrapeRequest(files, since=since, also=again))

    async def _tried(self, wishes: Sequence[PassOptions]) -> Pass:
        """A pass on a copy of what is known, which is gone afterwards."""
        async with self.stages.store.scratch(self._ledger.source) as store:
            stages = replace(self.stages, store=store, work=None)
            trial = Passes(stages, self.full_every, self.grace, trial=True)
            done = await trial.run_all(wishes)
            known = await trial.known()
            standing = await store.model.problems(self._ledger.source)

        async def as_tried() -> Known:
            return known

        return replace(done, known=as_tried, standing=standing)

    async def _run(self, wish: PassOptions, *, yields: bool) -> Pass:
        try:
            inherited = await self._inherited(wish)
        except SourceError as error:
            log.error("Defaults could not be read", action="defaults_unread", error=str(error))
            return self.failed(str(error), wish.kind, wish.source)
        wish = inherited.wish
        stages, ledger = self.stages.reading(wish.source), self._ledger
        maker = stages.maker
        stages = replace(stages, problems=(*stages.problems, *self._inheritance.problems))
        started, begun = stages.clock(), perf_counter()
        async with AsyncExitStack() as stack:
            async with ledger.lock:
                await ledger.refresh()
                if stages.maker.learns:
                    stages = replace(stages, maker=await self._taught(stages.maker))
                await restate(stages, ledger, ledger.epoch)
                settled = await self._settle(wish)
                intake = self._intake(stages, wish, started.replace(microsecond=0), yields=yields)
                self._under_way.append(intake)
                stack.callback(self._under_way.remove, intake)
            work = Conclusion(
                stages, wish, intake, ledger, self._destinations, settled, started, begun
            )
            try:
                await scrape(stages, wish, intake)
            except SourceError as error:
                return Pass(failed(work, error), ledger.state.horizon, self.known, Changes())
            async with ledger.lock:
                await ledger.refresh()
                # Mappings may have been read anew meanwhile, for a sweep that counts on it.
                stale = self.stages.translator is not stages.translator
                if yields and (stale or intake.seen & intake.elsewhere):
                    raise Overtaken
                return await self._shielded(self._conclude(work, inherited, maker))

    async def _inherited(self, wish: PassOptions) -> InheritingWish:
        """What manifests inherit from their groups, renewed; and the wish, with the projects that
        are to be read for it. Raises `SourceError`, `StoreError`, `LeadLost`.
        """
        while True:
            stages = self.stages.reading(wish.source)
            translator, due = await self._inheritance.renew(stages, wish, self._ledger)
            if self.stages.translator is stages.translator:
                break  # else the mappings were read anew meanwhile
        if translator is not stages.translator:
            self.stages = replace(self.stages, translator=translator)
        if wish.small and due and due == self._put_off.get(wish.source):
            return InheritingWish(wish)
        ids = await projects_below(self._ledger, due, wish.source)
        if wish.small and len(ids) > _MOST_INHERITING:
            self._put_off[wish.source] = due  # which the next push need not find out again
            return InheritingWish(wish)  # the next scheduled pass reads them
        return InheritingWish(with_projects(wish, ids), due, ids)

    async def _has_settled(self, work: Conclusion, inherited: InheritingWish) -> None:
        """Whose groups' defaults changed have been read, if no other pass took some of them."""
        intake, translator = work.intake, work.stages.translator
        alone = all(
            other.translator is translator
            for other in self._under_way
            if other.source == intake.source
        )
        whole = intake.end is not None and not intake.lost
        current = self.stages.translator is translator
        if inherited.due and whole and alone and current and not intake.elsewhere & inherited.ids:
            stages, source = work.stages, intake.source
            await self._inheritance.settled(stages, self._ledger, source, inherited.due)

    async def _settle(self, wish: PassOptions) -> OwnDestinations:
        """Whoever asks holds the ledger's lock."""
        stages = self.stages
        if {exporter.name for exporter in stages.exporters} <= self._ours:
            return OwnDestinations(self._ours)
        by = Publisher(
            stages.exporters,
            self._ledger.store,
            stages.maker,
            stages.renderer,
            stages.fence,
            stages.clock,
            wish.dry_run,
            not wish.dry_run or self.trial,
            wish.take_over,
        )
        settled = await settle(by, self._ledger, self._ours)
        if not wish.dry_run:
            self._ours |= settled.names
        self._view.changed(Changes(everything=True))
        return settled

    async def _taught(self, maker: EntityMaker) -> EntityMaker:
        """The maker with what it learned in the last long pass; else from all manifests.

        Another process may have led meanwhile, and learned something else.
        """
        known, epoch = self._learned, self._ledger.epoch
        if known is None or known.maker is not maker or known.epoch != epoch:
            known = self._learned = _Learned(maker, epoch, await taught(maker, self._ledger))
        return known.taught

    def _intake(self, stages: Stages, wish: PassOptions, now: datetime, *, yields: bool) -> Intake:
        ledger = self._ledger
        return Intake(
            ledger,
            stages.translator,
            stages.maker,
            now,
            stages.scope,
            Todo.MERGE if wish.small else lane_of(wish.source),
            ledger.epoch,
            ledger.state.horizon.of(wish.source),
            stages.observes,
            yields,
            wish.source,
            stages.sources,
            settled=self._tell_others,
        )

    def _tell_others(self, intake: Intake, ids: set[int]) -> None:
        """An intake settled some projects: the passes beside it pass over them."""
        self._view.changed(Changes(projects=frozenset(ids)))
        for other in self._under_way:
            if other is not intake:
                other.elsewhere |= ids

    async def _conclude(
        self, work: Conclusion, inherited: InheritingWish, maker: EntityMaker
    ) -> Pass:
        report, changes, horizon, retry_in = await conclude(work)
        await self._has_settled(work, inherited)
        if self._learned is not None:
            same = self._learned.maker is maker
            # By other rules than it began with: what these have learned is found out anew.
            self._learned = replace(self._learned, taught=work.stages.maker) if same else None
        self._view.changed(changes)
        intake = work.intake
        for number, reason in intake.unreadable.items():
            intake.observations.put(Observation(number, work.started, unreadable=reason))
        files = await self._ledger.files()
        return Pass(
            report,
            horizon,
            self.known,
            changes,
            files,
            intake.observations,
            retry_in=retry_in,
        )

    async def _shielded(self, work: Coroutine[Any, Any, Pass]) -> Pass:
        task = asyncio.ensure_future(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task], timeout=self.grace)
            task.cancel()
            raise

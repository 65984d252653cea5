"""Before the first pass of a process: each destination is ours, is adopted, or is refused."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import structlog

from bridge.errors import ConfigurationError, DestinationTaken, PublishError
from bridge.model.destinations import Mark, PublishedCatalog
from bridge.model.entities import Catalog
from bridge.model.memory import Memory, PassRecord
from bridge.model.problems import Problem, Severity
from bridge.model.runs import Outcome, Report
from bridge.passes.adoption import Standing, adopt, is_plainly_ours, standing, with_published
from bridge.passes.pipeline import Known, PassOptions, Stages
from bridge.ports import Destination, Exporter

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Settled:
    """What a pass may build on, which destinations are settled, and why others are not yet."""

    known: Known
    names: frozenset[str]
    unsettled: dict[str, str]


async def settle(
    stages: Stages, known: Known, wish: PassOptions, done: Collection[str] = ()
) -> Settled:
    """Look at every destination that is not `done`, and adopt what has to be adopted.

    Without a dry run, what is adopted is saved, and the destination's mark is ours, when this
    returns. Raises `ConfigurationError` with every destination that is another's; what
    `Stages.fence` and the store raise.
    """
    work = _Settling(stages, wish, known)
    await work.begin()
    for exporter in stages.exporters:
        if exporter.name not in done:
            await work.settle(exporter)
    if work.taken:
        raise ConfigurationError(work.taken)
    return await work.end()


@dataclass(slots=True)
class _Settling:
    stages: Stages
    wish: PassOptions
    before: Known
    memory: Memory = field(init=False)
    catalog: Catalog = field(init=False)
    mark: Mark = field(init=False)
    taken: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    unsettled: dict[str, str] = field(default_factory=dict)

    async def begin(self) -> None:
        self.memory, self.catalog = self.before.memory, self.before.catalog
        source = self.stages.scraper.name
        # Without an id the store has never published anything of the source.
        self.mark = await self.stages.store.mark(source) or Mark(source, "")

    async def settle(self, exporter: Exporter) -> None:
        try:
            if isinstance(exporter, Destination):
                await self._look(exporter, exporter.name)
            self.names.add(exporter.name)
        except DestinationTaken as error:
            self.taken.append(Problem(str(error), "destination-taken"))
        except PublishError as error:  # it does not answer: nothing is published there till then
            self.unsettled[exporter.name] = str(error)

    async def _look(self, destination: Destination, name: str) -> None:
        found = await destination.found()
        new = self.before.memory.horizon.passes == 0 or not self.mark.store
        stand = standing(found, self.mark, new=new, take_over=self.wish.take_over, name=name)
        if stand.refusal:
            raise DestinationTaken(stand.refusal)
        if found.index is not None and (stand.adopt or name not in self._published_last()):
            await self._adopt(destination, name, stand, unmarked=found.mark is None)
        if stand.claim and not self.wish.dry_run:
            await self._claim(destination, found.mark)

    def _published_last(self) -> Collection[str]:
        """The destinations that hold what the store has of the last pass."""
        record = self.before.record
        return {receipt.to for receipt in record.report.published} if record else ()

    async def _adopt(
        self, destination: Destination, name: str, stand: Standing, *, unmarked: bool
    ) -> None:
        published = await self._published(destination, name)
        if published is None:
            return
        source, take_over = self.mark.source, self.wish.take_over
        ours = not unmarked or is_plainly_ours(published, self.before.memory, source)
        if not (ours or take_over):
            raise DestinationTaken(
                f"{name} holds a catalog of an older Fester, and nothing in it tells that it came "
                f"from {source}: name an empty folder or prefix, or run once with --take-over if "
                "it is to be this Fester's"
            )
        if stand.adopt and ours and not stand.foreign:
            self.memory = adopt(self.memory, published, self.stages.clock())
        known = len(self.catalog.entities)
        self.catalog = with_published(self.catalog, published)
        if count := len(self.catalog.entities) - known:
            self.notes.append(_adopted(name, count))

    async def _published(self, destination: Destination, name: str) -> PublishedCatalog | None:
        """The catalog that lies there; None when it is to be replaced, whatever it is."""
        try:
            found = await destination.catalog()
        except PublishError:
            if self.wish.take_over:
                return None
            raise
        if found is None and not self.wish.take_over:
            raise DestinationTaken(
                f"{name} holds an index.yaml and no catalog.json, so nobody can tell what "
                "publishing would remove: name an empty folder or prefix, or run once with "
                "--take-over to replace what is there"
            )
        return found

    async def _claim(self, destination: Destination, over: Mark | None) -> None:
        await self.stages.fence()
        passes, above = self.before.memory.horizon.passes, over.fence if over else 0
        self.mark = await self.stages.store.next_mark(self.mark.source, passes, above)
        await destination.claim(self.mark, over)

    async def end(self) -> Settled:
        known = replace(self.before, notes=tuple(self.notes))
        if self.catalog is not self.before.catalog:
            known = replace(known, record=PassRecord(self._report(), self.catalog))
        if self.memory is not self.before.memory:
            known = await self._saved(known)
        return Settled(known, frozenset(self.names), self.unsettled)

    async def _saved(self, known: Known) -> Known:
        if self.wish.dry_run:
            return replace(known, memory=self.memory)
        before = self.before.memory
        horizon = replace(self.memory.horizon, passes=before.horizon.passes + 1)
        after = replace(self.memory, horizon=horizon)
        await self.stages.store.save(self.stages.scraper.name, before, after, known.record)
        log.info("What was published is adopted", action="adopted", notes=len(self.notes))
        return replace(known, memory=after)

    def _report(self) -> Report:
        """The account of what is known now, until a pass has one of its own."""
        if self.before.record is not None:
            return self.before.record.report
        started = self.stages.clock().isoformat(timespec="seconds")
        counts = self.catalog.counts()
        notes: Sequence[Problem] = self.notes
        return Report(
            Outcome.INCOMPLETE, 0.0, entities=counts, problems=tuple(notes), started_at=started
        )


def _adopted(name: str, count: int) -> Problem:
    noun = "entity" if count == 1 else "entities"
    return Problem(
        f"{count} {noun} that this store did not know were published at {name}; they are known "
        "now, and nothing of them is removed before its project was read",
        "adopted",
        Severity.INFO,
    )

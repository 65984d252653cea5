"""Before the first pass of a process: each destination is ours, is adopted, or is refused."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Final

import structlog

from bridge.errors import ConfigurationError, DestinationTaken, PublishError
from bridge.model.definitions import blob_of
from bridge.model.destinations import Mark, PublishedCatalog
from bridge.model.entities import Catalog, CatalogEntity
from bridge.model.memory import Memory
from bridge.model.problems import Problem, Severity
from bridge.model.runs import Outcome, Report
from bridge.model.statements import Concluded, Merged, StoredEntity
from bridge.model.todo import Todo
from bridge.passes.adoption import (
    DestinationStanding,
    adopt,
    defined_by,
    definitions_in,
    is_plainly_ours,
    standing,
    with_published,
)
from bridge.passes.intake import difference
from bridge.passes.interfaces import Store
from bridge.passes.ledger import Ledger
from bridge.passes.makers import EntityMaker, Renderer
from bridge.ports import Destination, Exporter, Rereadable

log = structlog.get_logger()

_AT_ONCE: Final = 16  # definitions that are read side by side


@dataclass(frozen=True, slots=True)
class OwnDestinations:
    """Which destinations are ours, why others are not yet, and what the next report has to tell."""

    names: frozenset[str] = frozenset()
    unsettled: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Publisher:
    """Who wants to publish."""

    exporters: Sequence[Exporter]
    store: Store
    maker: EntityMaker
    renderer: Renderer
    fence: Callable[[], Awaitable[None]]
    clock: Callable[[], datetime]
    dry_run: bool
    saves: bool  # what was adopted
    take_over: bool


async def settle(by: Publisher, ledger: Ledger, done: Collection[str] = ()) -> OwnDestinations:
    """Look at every destination that is not `done`, and adopt what has to be adopted.

    Without a dry run, what is adopted is saved, and the destination's mark is ours, when this
    returns. Whoever asks holds the ledger's lock. Raises `ConfigurationError` with every
    destination that is another's; what `fence` and the store raise.
    """
    work = _Settling(by, ledger)
    await work.begin()
    for exporter in by.exporters:
        if exporter.name not in done:
            await work.settle(exporter)
    if work.taken:
        raise ConfigurationError(work.taken)
    return await work.end()


@dataclass(slots=True)
class _Settling:
    by: Publisher
    ledger: Ledger
    published: Collection[str] = ()  # where the last pass was published
    before: Memory | None = None  # all that is known, once somebody asked
    memory: Memory = field(default_factory=Memory)
    known: Catalog = field(default_factory=Catalog)
    catalog: Catalog = field(default_factory=Catalog)
    mark: Mark = field(init=False)
    taken: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    unsettled: dict[str, str] = field(default_factory=dict)

    async def begin(self) -> None:
        source = self.ledger.source
        # Without an id the store has never published anything of the source.
        self.mark = await self.by.store.mark(source) or Mark(source, "")
        last = await self.by.store.passes(source, 1)
        self.published = {receipt.to for report in last for receipt in report.published}

    async def _load(self) -> None:
        """Load all that is known: to adopt needs it."""
        if self.before is None:
            model, source = self.ledger.model, self.ledger.source
            self.before = self.memory = await self.by.store.load(source)
            # Also of a first pass that ended before it was saved: what it made is known, and no
            # news that lies at a destination.
            made = [each async for part in model.catalog(source) for each in part]
            self.known = self.catalog = Catalog(tuple(sorted(made, key=lambda each: str(each.ref))))

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
        new = self.ledger.state.horizon.passes == 0 or not self.mark.store
        stand = standing(found, self.mark, new=new, take_over=self.by.take_over, name=name)
        if stand.refusal:
            raise DestinationTaken(stand.refusal)
        if found.index is not None and (stand.adopt or name not in self.published):
            await self._adopt(destination, name, stand, unmarked=found.mark is None)
        if stand.claim and not self.by.dry_run:
            await self._claim(destination, found.mark)

    async def _adopt(
        self, destination: Destination, name: str, stand: DestinationStanding, *, unmarked: bool
    ) -> None:
        published = await self._published(destination, name)
        if published is None:
            return
        await self._load()
        assert self.before is not None
        source, take_over = self.mark.source, self.by.take_over
        ours = not unmarked or is_plainly_ours(published, self.before, source)
        if not (ours or take_over):
            raise DestinationTaken(
                f"{name} holds a catalog of an older Fester, and nothing in it tells that it came "
                f"from {source}: name an empty folder or prefix, or run once with --take-over if "
                "it is to be this Fester's"
            )
        if stand.adopt and ours and not stand.foreign:
            self.memory = adopt(self.memory, published, self.by.clock())
        if self.by.saves and isinstance(destination, Rereadable):
            await self._definitions(destination, name, published)
        known = len(self.catalog.entities)
        self.catalog = with_published(self.catalog, published)
        if count := len(self.catalog.entities) - known:
            self.notes.append(_adopted(name, count))

    async def _definitions(
        self, destination: Rereadable, name: str, published: PublishedCatalog
    ) -> None:
        """Keep the definitions that lie there and that the store does not have: an entity without
        its definition is not what was published."""
        reads, source = self.ledger.model.reads, self.ledger.source
        owners = definitions_in(published)
        changed = []
        for start in range(0, len(owners), _AT_ONCE):
            part = {path: blob_of(path)[0] for path in list(owners)[start : start + _AT_ONCE]}
            there = await reads.anybodys(source, list(part.values()))
            lacking = [path for path, oid in part.items() if oid not in there]
            bodies = await asyncio.gather(*(destination.definition(path) for path in lacking))
            told = {p: body for p, body in zip(lacking, bodies, strict=True) if body is not None}
            texts = {path: defined_by(path, body) for path, body in told.items()}
            changed += [path for path, text in texts.items() if text is None]
            kept = [(owners[p], part[p], text) for p, text in texts.items() if text is not None]
            if kept:
                await self.ledger.write(self.ledger.epoch, partial(reads.adopt, source, texts=kept))
        if changed:
            self.notes.append(_changed(name, changed))

    async def _published(self, destination: Destination, name: str) -> PublishedCatalog | None:
        """The catalog that lies there; None when it is to be replaced, whatever it is."""
        try:
            found = await destination.catalog()
        except PublishError:
            if self.by.take_over:
                return None
            raise
        if found is None and not self.by.take_over:
            raise DestinationTaken(
                f"{name} holds an index.yaml and no catalog.json, so nobody can tell what "
                "publishing would remove: name an empty folder or prefix, or run once with "
                "--take-over to replace what is there"
            )
        return found

    async def _claim(self, destination: Destination, over: Mark | None) -> None:
        await self.by.fence()
        passes, above = self.ledger.state.horizon.passes, over.fence if over else 0
        self.mark = await self.by.store.next_mark(self.mark.source, passes, above)
        await destination.claim(self.mark, over)

    async def end(self) -> OwnDestinations:
        adopted = self.memory is not self.before or self.catalog is not self.known
        if self.before is not None and adopted and self.by.saves:
            await self._save()
        return OwnDestinations(frozenset(self.names), self.unsettled, tuple(self.notes))

    async def _save(self) -> None:
        """Make what was adopted known: each entity stands until its manifest was read, or not."""
        model, source, ledger = self.ledger.model, self.ledger.source, self.ledger
        assert self.before is not None
        there = {entity.ref for entity in self.known.entities}
        more = [entity for entity in self.catalog.entities if entity.ref not in there]
        refs = [str(entity.ref) for entity in more]
        kinds = Counter(f"entities.{entity.body['kind']}" for entity in more)
        put = [self._stored(entity) for entity in more]
        done = Merged((), put, refs, gone=refs, figures=kinds)
        await ledger.write(ledger.epoch, lambda edition: model.merged(source, edition, done))
        taken = difference(self.before, self.memory, self.by.maker)
        if taken:
            await ledger.write(
                ledger.epoch, lambda edition: model.take(source, edition, taken, Todo.MERGE)
            )
            ledger.described = None
        horizon = replace(self.memory.horizon, passes=ledger.state.horizon.passes + 1)
        report = await self._report()
        end = Concluded(report, horizon, unpublished=True)
        await ledger.write(ledger.epoch, lambda edition: model.conclude(source, edition, end))
        await ledger.refresh()
        log.info("What was published is adopted", action="adopted", notes=len(self.notes))

    def _stored(self, entity: CatalogEntity) -> StoredEntity:
        maker = self.by.maker
        targets = {each: maker.spelt(each) for each in maker.targets(entity.body)}
        place = self.by.renderer.place(entity.ref)
        return StoredEntity(entity, "", place, entity, targets, maker.names(entity))

    async def _report(self) -> Report:
        """The account of what is known now, until a pass has one of its own."""
        found = await self.by.store.passes(self.ledger.source, 1)
        if found:
            return found[0]
        started = self.by.clock().replace(microsecond=0)
        counts = self.catalog.counts()
        return Report(
            Outcome.INCOMPLETE, 0.0, entities=counts, problems=tuple(self.notes), started_at=started
        )


def _changed(name: str, paths: Sequence[str]) -> Problem:
    return Problem(
        f"{paths[0]} and the like at {name} ({len(paths)} in all) are not the blobs that they are "
        "named after: somebody changed them there. They are not adopted, and their APIs say that "
        "the definition is read again with the next sweep of its project",
        "definition-changed",
        Severity.WARNING,
    )


def _adopted(name: str, count: int) -> Problem:
    noun = "entity" if count == 1 else "entities"
    return Problem(
        f"{count} {noun} that this store did not know were published at {name}; they are known "
        "now, and nothing of them is removed before its project was read",
        "adopted",
        Severity.INFO,
    )

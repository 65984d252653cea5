"""What a pass is made of, how it is to go, and what it gave."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from bridge.model.entities import CatalogEntity, Ref
from bridge.model.group_defaults import DefaultsPlace
from bridge.model.memory import Horizon
from bridge.model.numbers import FIRST
from bridge.model.problems import Problem
from bridge.model.runs import Report
from bridge.model.scrape import Coverage, Observation, ScrapeRequest
from bridge.model.statements import Changes, StoredFile
from bridge.passes.interfaces import Store, WorkSharing
from bridge.passes.makers import EntityList, EntityMaker, Renderer
from bridge.passes.merge import Guard
from bridge.passes.publish import Shown
from bridge.passes.view import Known
from bridge.ports import Exporter, Processor, Scraper, Translator


async def no_fence() -> None:
    """The fence of who is alone: it may always publish."""


def as_it_is(entity: CatalogEntity) -> CatalogEntity:
    """An entity, published as it was merged."""
    return entity


# Takes on what is shown of entities now, and notes before whose that is otherwise; None: all of
# them. It is told what the files were rendered in: of another one it cannot know what they show.
Renewal: TypeAlias = Callable[
    [object, Callable[[Collection[Ref] | None], Awaitable[None]]], Awaitable[None]
]


@dataclass(frozen=True, slots=True)
class FurtherSource:
    """A further source of the same catalog, and the fingerprint of what a full sweep asks it."""

    scraper: Scraper
    scope: str = ""
    nested: tuple[tuple[str, tuple[str, ...]], ...] = ()
    defaults: DefaultsPlace | None = None


@dataclass(frozen=True, slots=True)
class Stages:
    """Everything that a pass is made of.

    `further` are more sources by name, whose projects go by numbers of their own. `shown` makes of
    a merged entity what is published of it. Where it may give something else
    for the same entity later, scheduled passes call `renew`.
    """

    scraper: Scraper
    translator: Translator
    maker: EntityMaker
    renderer: Renderer
    exporters: Sequence[Exporter]
    store: Store
    clock: Callable[[], datetime]
    lists: Sequence[EntityList] = ()
    processors: Sequence[Processor] = ()
    guard: Guard = field(default_factory=Guard)
    scope: str = ""  # a fingerprint of what a full sweep asks for: another one calls for a sweep
    fence: Callable[[], Awaitable[None]] = no_fence  # raises `LeadLost` when another one leads
    problems: tuple[Problem, ...] = ()  # of Fester's own files: they go into every report
    shown: Shown = as_it_is
    renew: Renewal | None = None
    observes: bool = True  # whether anybody wants to know what else a project's page told
    # Globs of project paths, and the patterns of further manifests in those.
    nested: tuple[tuple[str, tuple[str, ...]], ...] = ()
    defaults: DefaultsPlace | None = None  # the file that says what manifests inherit
    further: Mapping[str, FurtherSource] = field(default_factory=dict)
    history: timedelta = timedelta(days=90)  # how long what changed is kept
    work: WorkSharing | None = None  # has other processes do parts of a long pass

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of all sources, the first one's first."""
        return (FIRST, *self.further)

    def reading(self, source: str) -> Stages:
        """The same stages, for a pass that reads one of the sources."""
        if source == FIRST:
            return self
        one = self.further[source]
        return replace(
            self,
            scraper=one.scraper,
            scope=one.scope,
            nested=one.nested,
            defaults=one.defaults,
        )


@dataclass(frozen=True, slots=True)
class PassOptions:
    """How one pass is to go.

    `take_over` makes destinations ours that are another's. `source` names the one that is read.
    `request` None asks for everything. `progress` hears (`bridge.model.runs.Step`, done).
    """

    dry_run: bool = False
    accept_removals: bool = False
    take_over: bool = False
    request: ScrapeRequest | None = None
    source: str = FIRST
    progress: Callable[[str, int], None] = lambda stage, done: None

    @property
    def small(self) -> bool:
        """Whether it is about some projects alone, as hooks ask for."""
        return bool(self.request and self.request.only)

    @property
    def kind(self) -> Coverage:
        """What it sets out to see."""
        if self.request is None or (self.request.since is None and not self.request.only):
            return Coverage.FULL
        return Coverage.SELECTED if self.request.only else Coverage.CHANGES


@dataclass(frozen=True, slots=True)
class Pass:
    """What a pass gave: its account, what it changed, and every published file (changed or not).

    The report tells what this pass met; what is wrong as things stand is known to the store.
    `known` gives all that is known, which costs what all of it costs. `observations` are of the
    projects that this pass looked at, by id, unreadable ones included.
    """

    report: Report
    horizon: Horizon
    known: Callable[[], Awaitable[Known]]
    changes: Changes = Changes(everything=True)  # noqa: RUF009 — a frozen noun
    files: Mapping[str, StoredFile] = field(default_factory=dict)
    observations: Mapping[int, Observation] = field(default_factory=dict)
    standing: Sequence[Problem] | None = None  # of a trial: what would be wrong after it
    retry_in: float | None = None  # seconds until a destination that refused may take it

    @property
    def digests(self) -> dict[str, str]:
        """The digest of every published file, by path."""
        return {path: file.digest for path, file in self.files.items()}

    def after(self, missed: Pass) -> Pass:
        """This pass, for a listener that did not hear of `missed`, the one before it."""
        return replace(
            self,
            observations={**missed.observations, **self.observations},
            changes=self.changes.after(missed.changes),
        )


# Hears of a pass after it was published and saved; only where passes are made (the leader).
Listener: TypeAlias = Callable[[Pass], Awaitable[None]]

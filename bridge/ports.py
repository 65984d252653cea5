"""Every extension point on one screen, what an extension may do besides, and the lease.

Another package adds a scraper, a processor, an exporter or a fact collector by an entry point
(groups `fester.scrapers`, `fester.processors`, `fester.exporters`, `fester.collectors`) that names
a factory:

- scrapers:   `factory(source: str) -> Scraper | None`   None: "that source is not mine"
- processors: `factory() -> Processor`
- exporters:  `factory(destination: str) -> Exporter | None`
- collectors: `factory() -> FactCollector`

`bridge.testing` holds the tests that any implementation must pass.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from bridge.model.destinations import DestinationContent, Fence, Mark, PublishedCatalog
from bridge.model.facts import FactSchema, Reading, Subject
from bridge.model.manifests import AggregatedManifests, Translation
from bridge.model.reads import ReadFile, Wanted
from bridge.model.runs import Artifact, Processed, Receipt
from bridge.model.scrape import ManifestFile, Project, Record, ScrapeRequest, Traffic


@runtime_checkable
class Scraper(Protocol):
    """Reads projects from a source. What it cannot read it reports as a `Gap`, never omits."""

    @property
    def name(self) -> str:
        """The source, for people and for the store: a URL or a folder's path."""

    def scrape(self, request: ScrapeRequest) -> AsyncIterator[Record]:
        """Yield a record a project, each project once, and one `ScrapeEnd` as the last record.

        Raises `SourceError` (or `SourceRefused`) only when nothing at all can be read.
        """

    async def close(self) -> None:
        """Release connections; safe to call twice."""


@runtime_checkable
class Measured(Protocol):
    """What a scraper may offer beside: figures for the metrics."""

    @property
    def traffic(self) -> Traffic:
        """What was asked of the source so far."""


@runtime_checkable
class Browsing(Protocol):
    """What a scraper may offer beside: one file of one project, for Fester's own settings."""

    async def look(self, project: str, path: str) -> tuple[int, ReadFile]:
        """The id of the project with this full path, and what it has at a path, with its text.

        Raises `SourceError` when that cannot be told: "not there" is said of what is known whole.
        """


@runtime_checkable
class Processor(Protocol):
    """Makes more of the manifests than a catalog. Pure: no I/O, no clock, order-independent."""

    @property
    def name(self) -> str:
        """A short name for logs and reports."""

    def process(self, manifests: AggregatedManifests) -> Processed:
        """The same manifests, in whatever order, give the same bytes.

        It is asked after sweeps and scheduled passes that changed something, never after a push:
        it sees all manifests, and that costs what all of them cost.
        """


@runtime_checkable
class Exporter(Protocol):
    """Publishes artifacts to a destination: entities first, index next, removals last."""

    @property
    def name(self) -> str:
        """The destination as the user wrote it."""

    async def publish(
        self, artifacts: Sequence[Artifact], *, dry_run: bool = False, fence: Fence | None = None
    ) -> Receipt:
        """Write what changed, keep what did not, remove what is no longer named.

        With `dry_run` nothing is written; the receipt says what would be. Who is about to write
        holds the destination alone, and then asks `fence`: what it raises is raised on, and what
        it gives is the mark to leave.
        Raises `PublishError` (or `PublishConflict`); the old catalog then still stands whole.
        """

    async def close(self) -> None:
        """Release connections; safe to call twice."""


@runtime_checkable
class Destination(Protocol):
    """What an exporter may offer beside: its destination knows whose it is.

    Every method raises `PublishError`.
    """

    async def found(self) -> DestinationContent:
        """What lies there now; cheap."""

    async def catalog(self) -> PublishedCatalog | None:
        """The `catalog.json` that lies there; None when there is none."""

    async def claim(self, mark: Mark, over: Mark | None) -> None:
        """Put `mark` where `over` stands (None: none does).

        Raises `PublishConflict` when something else stands there by now.
        """


@runtime_checkable
class Rereadable(Protocol):
    """What a destination may offer beside: to give back definitions that were published there."""

    async def definition(self, path: str) -> bytes | None:
        """The file at a path below `definitions/`; None when there is none.

        Raises `PublishError`.
        """


@runtime_checkable
class Amending(Protocol):
    """What an exporter may offer beside: to write only what changed since its last `publish`."""

    async def amend(
        self, changed: Sequence[Artifact], *, dry_run: bool = False, fence: Fence | None = None
    ) -> int:
        """Write these files over the ones of the same paths; gives how many differed.

        The index names the same files as before, and nothing is to be removed. Whoever asks has
        published here before, with this exporter. Raises as `publish` does; what is asked next
        is then `publish`.
        """


@runtime_checkable
class FactCollector(Protocol):
    """Collects facts about entities. What it cannot read is an unknown fact, never a false one."""

    @property
    def schema(self) -> FactSchema:
        """What it gives, how often, and about which entities."""

    def collect(self, subjects: Sequence[Subject]) -> AsyncIterator[Reading]:
        """Yield a reading a subject that it can say something about; never raises for one."""

    async def close(self) -> None:
        """Release connections; safe to call twice."""


class Translator(Protocol):
    """Turns one manifest file into drafts of entities; pure. Not an entry point: mappings are."""

    @property
    def files(self) -> tuple[str, ...]:
        """The file names that the mappings want, at a repository's root."""

    def fingerprint(self, project: Project, file: ManifestFile) -> str:
        """Names everything that the translation depends on; cheap."""

    def translate(self, project: Project, file: ManifestFile) -> Translation:
        """Never raises for what a manifest says: whatever is wrong is in the translation."""


@runtime_checkable
class ReadingTranslator(Protocol):
    """What a translator may offer beside: its mappings want more of a repository."""

    @property
    def reads(self) -> str:
        """Names what the mappings want; "" for nothing."""

    @property
    def usual(self) -> tuple[str, ...]:
        """Paths that are looked for whatever a manifest says, from a repository's root."""

    def is_manifest(self, path: str) -> bool:
        """Whether a mapping wants files of this name."""

    def depends(self, project: Project, file: ManifestFile) -> str:
        """Names what the wishes of a manifest depend on besides its text; "" for nothing."""

    def wanted(self, project: Project, file: ManifestFile) -> Wanted:
        """What a manifest wants to be read besides. Never raises for what it says."""


class Lease(Protocol):
    """Of several processes on one store, one at a time may do what a name stands for.

    The store's own clock says when a lease ends, unless `now`, which is aware, is given.
    """

    async def acquire(
        self, name: str, holder: str, ttl_seconds: float, now: datetime | None = None
    ) -> bool:
        """Take it if it is free, expired or the holder's already; whether it is held now."""

    async def renew(
        self, name: str, holder: str, ttl_seconds: float, now: datetime | None = None
    ) -> bool:
        """Hold it longer; False when it is lost."""

    async def release(self, name: str, holder: str) -> bool:
        """Give it back; False when the holder did not have it."""

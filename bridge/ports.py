"""Every extension point on one screen.

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

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime
from typing import Any, Protocol, runtime_checkable

from bridge.model.access import Principal
from bridge.model.destinations import DestinationContent, Fence, Mark, PublishedCatalog
from bridge.model.entities import Body, CatalogEntity, Json, Ref, Shard
from bridge.model.facts import CollectorRound, FactBoard, FactSchema, Reading, Subject
from bridge.model.manifests import AggregatedManifests, TranslatedManifest, Translation
from bridge.model.memory import KnownProject, Memory, PassRecord, SourceState
from bridge.model.notices import Delivery, DeliveryState, Notice, NoticeMemory, NoticeTally
from bridge.model.problems import Problem
from bridge.model.remediation import (
    Case,
    IssueChange,
    IssueKey,
    Listing,
    NewIssue,
    Proposal,
    RemediationRun,
    RemediationState,
    SeenIssue,
    SeenMergeRequest,
)
from bridge.model.rubric_trials import RubricTrial
from bridge.model.runs import Artifact, Processed, Receipt, Report
from bridge.model.scores import (
    Check,
    CheckResult,
    RollupDay,
    Rubric,
    Scoreboard,
    ScoreChange,
    ScoreDay,
)
from bridge.model.scrape import ManifestFile, Project, Record, ScrapeRequest, Traffic
from bridge.model.statements import (
    Concluded,
    Linked,
    Merged,
    Statement,
    StoredEntity,
    StoredFile,
    Taken,
)


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


class EntityMaker(Protocol):
    """Makes entities of what manifests say, one at a time. Pure; not an entry point."""

    @property
    def fingerprint(self) -> str:
        """Names everything that the entities depend on besides the manifests."""

    @property
    def learns(self) -> bool:
        """Whether what one manifest says depends on what others describe."""

    def described(self, manifest: TranslatedManifest) -> Sequence[Any]:
        """What a manifest describes that others may depend on."""

    def learned(self, described: Sequence[Any]) -> EntityMaker:
        """The same maker, where all of this is described."""

    def statements(
        self, manifest: TranslatedManifest
    ) -> tuple[Sequence[Statement], Sequence[Problem]]:
        """What a manifest says of entities, and what is wrong with it."""

    def merge(
        self, statements: Sequence[Statement]
    ) -> tuple[CatalogEntity | None, Sequence[Problem]]:
        """The entity of all that is said of one reference (at least one statement), if any."""

    def targets(self, body: Body) -> frozenset[Ref]:
        """What an entity refers to."""

    def names(self, entity: CatalogEntity) -> frozenset[tuple[int, Ref]]:
        """The names that an entity goes by besides its own, each with its rank (0 counts first)."""

    def spelt(self, ref: Ref) -> Ref:
        """A reference in the one spelling of all those that are taken for the same."""

    def link(
        self,
        entity: CatalogEntity,
        missing: Collection[Ref],
        names: Mapping[tuple[int, Ref], Collection[Ref]],
    ) -> Linked:
        """An entity with its references put right by the names that others go by.

        `missing` are those to nothing, `names` has who goes by them, in whatever spelling.
        """

    def published(self, linked: Linked) -> CatalogEntity:
        """What is published of an entity of which some references lead nowhere."""

    def needs(self, linked: Linked, ref: Ref) -> bool:
        """Whether an entity depends on `ref` so that one is made where nobody describes it."""

    def derive(
        self,
        ref: Ref,
        needing: Sequence[CatalogEntity],
        statements: Mapping[str, Sequence[Statement]],
    ) -> CatalogEntity | None:
        """The entity that others (at least one) depend on and nobody describes, if one is made.

        `statements` has what is said of those that need it.
        """

    def likely(self, target: Ref, others: Collection[str]) -> tuple[str, ...]:
        """Which of some references may have been meant by one that points at nothing."""

    def dangling(
        self,
        linked: Linked,
        nearest: Mapping[Ref, Sequence[str]],
        statements: Sequence[Statement],
    ) -> Sequence[Problem]:
        """What to say of the references to nothing that an entity has."""


class EntityList(Protocol):
    """A file with a line for each entity of a kind, made line by line. Not an entry point."""

    @property
    def path(self) -> str:
        """Where it is published."""

    @property
    def content_type(self) -> str:
        """Its media type."""

    @property
    def kind(self) -> str:
        """The kind in lower case."""

    @property
    def head(self) -> bytes:
        """What stands before all lines."""

    def line(self, statements: Sequence[Statement]) -> bytes:
        """The line of the entity that these statements (at least one) are about."""


class Renderer(Protocol):
    """Lays entities out in files. Pure; not an entry point.

    A place is `depth` bits as text. A shard holds all entities whose places begin with its bits:
    at most `limit` of them, else it splits by the next bit.
    """

    @property
    def limit(self) -> int:
        """How many entities a shard may hold."""

    @property
    def depth(self) -> int:
        """How many bits a place has."""

    def place(self, ref: Ref) -> str:
        """Where an entity belongs."""

    def shard(self, bits: str, entities: Sequence[CatalogEntity]) -> tuple[Artifact, ...]:
        """The files of one shard; its entities are sorted by reference."""

    def bits(self, path: str) -> str | None:
        """The shard that a file belongs to; None for other files."""

    def index(self, shards: Sequence[str]) -> tuple[Artifact, ...]:
        """The files that lead to these shards, sorted."""

    def location(self, bits: str) -> Shard:
        """A shard as the index names it, without its references."""


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


class ModelStore(Protocol):
    """Keeps what is known of a source, what is said of each entity, and what was made of it.

    Methods that change it take the edition that they build on and give the next one; they raise
    `StoreConflict` when another process made one meanwhile. Every method raises `StoreError`.
    """

    async def state(self, source: str) -> SourceState:
        """How far the source is known."""

    async def known(self, source: str, ids: Collection[int]) -> Memory:
        """What is known of some projects."""

    async def marks(
        self, source: str, ids: Collection[int]
    ) -> Mapping[int, tuple[KnownProject, Mapping[str, str]]]:
        """Of some projects what is known, with the fingerprints of their files."""

    def project_ids(self, source: str) -> AsyncIterator[list[int]]:
        """The ids of all projects that are known, many at a time."""

    async def gaps(self, source: str) -> list[KnownProject]:
        """The projects that cannot be read as things stand."""

    async def in_groups(self, source: str, groups: Collection[str]) -> frozenset[int]:
        """The ids of the projects below groups, named by their paths in lower case."""

    async def take(self, source: str, edition: int, taken: Taken, lane: str) -> int:
        """Write what changed; what is to be merged for it is noted in `lane`."""

    async def begin_restating(self, source: str, edition: int) -> int:
        """Begin to work out anew what all manifests say; `take` then gets all of them."""

    async def begin_merging(self, source: str, edition: int, rules: str, *, long: bool) -> int:
        """Make what is noted in the lane of long passes ready; of other rules, everything."""

    async def todo(self, source: str, stage: str, limit: int | None = None) -> list[str]:
        """What is noted in a stage: merge, gone, check, render."""

    async def speaking_of(
        self, source: str, refs: Collection[str]
    ) -> Mapping[str, list[Statement]]:
        """All that is said of some references, each in the order of `Statement.place`."""

    async def entities(self, source: str, refs: Collection[str]) -> Mapping[str, StoredEntity]:
        """Some entities, as far as they are there."""

    async def merged(self, source: str, edition: int, done: Merged) -> int:
        """Write what merging gave; what is to be checked and rendered for it is noted."""

    async def remove(
        self, source: str, edition: int, refs: Sequence[str], figures: Mapping[str, int]
    ) -> int:
        """Remove entities; what is to be checked and rendered for it is noted."""

    async def missing(self, source: str, refs: Collection[str]) -> Mapping[str, set[str]]:
        """What some entities refer to, as they were merged, and is not there."""

    async def pointing_at(self, source: str, ref: str) -> list[str]:
        """The entities that refer to something, in whatever spelling they were merged with."""

    async def named(
        self, source: str, names: Collection[str]
    ) -> Mapping[tuple[int, str], Sequence[str]]:
        """The entities that go by some names, by rank and name."""

    async def neighbours(self, source: str, ref: str, count: int) -> list[str]:
        """The entities of a kind whose references begin or end most like one."""

    async def checked(
        self,
        source: str,
        edition: int,
        refs: Sequence[str],
        linked: Sequence[StoredEntity],
        found: Mapping[str, Sequence[Problem]],
    ) -> int:
        """Write what is wrong with the references of entities, and those that were put right."""

    async def note_all_places(self, source: str, edition: int) -> int:
        """Note that everything is to be rendered."""

    async def count_under(self, source: str, place: str) -> int:
        """How many entities have a place that begins so."""

    async def under(self, source: str, place: str) -> list[CatalogEntity]:
        """The entities whose place begins so, sorted by reference."""

    async def files(self, source: str) -> Mapping[str, StoredFile]:
        """The published files without their bodies, by path."""

    async def file(self, source: str, path: str) -> tuple[Artifact, str] | None:
        """A published file, and its digest."""

    async def conclude(self, source: str, edition: int, done: Concluded) -> int:
        """End a pass: its files are the published ones."""

    async def problems_about(
        self, source: str, about: Collection[str]
    ) -> Mapping[str, Sequence[Problem]]:
        """What is wrong with some things, by what it is about."""

    async def problems(self, source: str) -> list[Problem]:
        """All that is wrong as things stand."""

    async def digests(self, source: str) -> Mapping[str, str]:
        """The digest of every entity, by reference."""

    def catalog(self, source: str) -> AsyncIterator[list[CatalogEntity]]:
        """Every entity, many at a time, in any order."""

    def said_of_kind(self, source: str, kind: str) -> AsyncIterator[list[Statement]]:
        """All that is said of each entity of a kind, by reference."""


class Store(Protocol):
    """Keeps what must survive a restart. Not an entry point: SQLite or PostgreSQL by URL."""

    @property
    def model(self) -> ModelStore:
        """What is known, part by part."""

    async def load(self, source: str) -> Memory:
        """All that is known of a source; empty when it was never seen. Raises `StoreError`."""

    async def passes_saved(self, source: str) -> int:
        """How many passes of a source were saved: `Horizon.passes` of what `load` would give."""

    async def latest(self, source: str) -> PassRecord | None:
        """The last saved pass of a source, with the catalog and the problems as they stand."""

    async def passes(self, source: str, limit: int) -> list[Report]:
        """The reports of the latest passes as they were saved, newest first."""

    async def report(self, source: str) -> Report | None:
        """The report of the last saved pass, with the problems as they stand."""

    def scratch(self, source: str) -> AbstractAsyncContextManager[Store]:
        """A copy of what is known of a source, to try something on; gone at the end."""

    async def mark(self, source: str) -> Mark | None:
        """Whose what this store publishes of a source is; None when it never published any."""

    async def next_mark(self, source: str, passes: int, above: int = 0) -> Mark:
        """The mark of the next publish; its fence number is larger than any before, and `above`.

        Raises `StoreConflict` when `passes` is not how many passes of the source were saved.
        """

    async def close(self) -> None:
        """Release connections; safe to call twice."""


class FactStore(Protocol):
    """Keeps facts and their history. Every method raises `StoreError`."""

    async def record_facts(self, source: str, readings: Sequence[Reading]) -> None:
        """Add readings; each becomes the latest of its entity and retriever."""

    async def latest_facts(self, source: str) -> Mapping[Ref, Mapping[str, Reading]]:
        """The latest reading of every entity, by retriever id."""

    async def facts_seen_at(self, source: str) -> datetime | None:
        """The moment of the newest reading; None when there is none. Cheap."""

    async def facts_between(
        self, source: str, entity: Ref, retrievers: Sequence[str], start: datetime, end: datetime
    ) -> Sequence[Reading]:
        """The readings of one entity from `start` to `end`, oldest first."""

    async def prune_facts(self, source: str, now: datetime) -> None:
        """Forget and thin what is old; cheap when there is nothing to do."""


class FactBook(Protocol):
    """What is known now, what was known, and a way to add to it; what HTTP serves."""

    @property
    def board(self) -> FactBoard:
        """The latest facts. A new one replaces it; it never changes itself."""

    @property
    def rounds(self) -> Mapping[str, CollectorRound]:
        """Each collector's latest round in this process, by its schema's id."""

    async def between(
        self, entity: Ref, retrievers: Sequence[str], start: datetime, end: datetime
    ) -> Sequence[Reading]:
        """The readings of one entity from `start` to `end`, oldest first. Raises `StoreError`."""

    async def push(self, body: Json) -> int:
        """Record what somebody pushed; gives how many readings that was.

        Raises `FactsRefused` with every problem, and then records none; or `StoreError`.
        """


class CheckBook(Protocol):
    """The checks in force, and how they stand."""

    def checks(self) -> Sequence[Check]:
        """Every check, in the rubric's order."""

    def results(self, entity: Ref) -> Sequence[CheckResult]:
        """How they stand for an entity; none for one that was not scored."""


class ScoreStore(Protocol):
    """Keeps scores and their history. Every method raises `StoreError`."""

    async def record_scores(self, source: str, board: Scoreboard, rubric: Rubric) -> None:
        """Make `board` the latest, and add to the history what differs from the day before."""

    async def latest_scores(self, source: str) -> Scoreboard | None:
        """The board that was recorded last."""

    async def scored_at(self, source: str) -> datetime | None:
        """When that board was made; cheap."""

    async def score_trend(
        self, source: str, entity: Ref, start: date, end: date
    ) -> Sequence[ScoreDay]:
        """The days on which an entity's score changed, oldest first.

        The first may lie before `start`: it is the one that still stood then.
        """

    async def rollup_trend(
        self, source: str, kind: str, name: str, start: date, end: date
    ) -> Sequence[RollupDay]:
        """The same of a roll-up."""

    async def scores_on(
        self, source: str, entities: Sequence[Ref], day: date
    ) -> Mapping[Ref, ScoreDay]:
        """How the scores stood at the end of a day; entities that had none are left out."""


class RemediationStore(Protocol):
    """Keeps what remediation must know between runs. Every method raises `StoreError`."""

    async def load(self, source: str) -> RemediationState:
        """All streaks and cases of a source."""

    async def save(self, source: str, before: RemediationState, after: RemediationState) -> None:
        """Replace `before` by `after` in one transaction, writing only what differs."""

    async def cases(self, source: str) -> Mapping[IssueKey, Case]:
        """All cases of a source, without the streaks."""

    async def put_case(self, source: str, case: Case) -> None:
        """Remember one case; used before and after each write to GitLab."""

    async def drop_case(self, source: str, key: IssueKey) -> None:
        """Forget one case: it was never made."""

    async def record_run(self, source: str, run: RemediationRun) -> None:
        """Add a run's account; the oldest ones are forgotten."""

    async def latest_run(self, source: str) -> RemediationRun | None:
        """The account of the run that was recorded last."""


class DigestStore(Protocol):
    """Keeps the weekly digests. Every method raises `StoreError`."""

    async def sent(self, source: str, week: str) -> Sequence[str] | None:
        """To which teams a week's digest was sent; None when it was not made yet."""

    async def keep(self, source: str, week: str, digests: Sequence[Json]) -> None:
        """Keep a week's digests as they were made."""

    async def mark_sent(self, source: str, week: str, teams: Sequence[str]) -> None:
        """These teams have theirs."""

    async def latest(self, source: str) -> Sequence[Json]:
        """The digests of the latest week that has some."""


class MergeRequests(Protocol):
    """Merge requests in GitLab. Every method raises `TrackerError`."""

    async def merge_requests(self) -> Sequence[SeenMergeRequest]:
        """All that carry our label, of whatever state."""

    async def propose(self, proposal: Proposal, labels: Sequence[str]) -> SeenMergeRequest:
        """Make the branch with its file, and the merge request; never by force.

        A branch or an open merge request that is there already is taken up, not made anew.
        """


class IssueTracker(Protocol):
    """Issues in GitLab. Writes raise `TrackerError`; what it means stands in its subclasses."""

    async def listing(
        self, known: Collection[tuple[int, int]], unsure: Collection[int] = ()
    ) -> Listing:
        """All issues that carry our label; `known` (project, iid) must be accounted for.

        Of the projects in `unsure`, where an issue may have been made without an answer, the list
        of their own is read, too. Never raises: what went wrong is in the listing.
        """

    async def closed(self, project_id: int) -> str:
        """Why nothing may be written in a project now; "" when it may. Raises `TrackerError`."""

    async def open(self, issue: NewIssue) -> SeenIssue:
        """Make an issue."""

    async def change(self, change: IssueChange) -> SeenIssue:
        """Change an issue's texts, or its state, or both, in one request."""


class Gatekeeper(Protocol):
    """Tells who a bearer token belongs to."""

    async def recognize(self, token: str) -> Principal:
        """Whose token this is. Raises `TokenRefused`, or `KeysUnavailable` when nobody can tell."""


class Scores(Protocol):
    """What is served of scores: the latest board, the rubric, and their history."""

    @property
    def board(self) -> Scoreboard | None:
        """The latest board; None while nothing was evaluated."""

    @property
    def rubric(self) -> Rubric:
        """The rubric in force."""

    @property
    def problems(self) -> Sequence[Problem]:
        """Why the rubric's file is not the rubric in force."""

    async def proposed(
        self, entities: Sequence[CatalogEntity], latest: Mapping[Ref, Mapping[str, Reading]]
    ) -> RubricTrial | None:
        """What the rubric that is proposed would move; None where none is.

        Raises `ConfigurationError` with what is wrong with it, or `StoreError`.
        """

    @property
    def flips(self) -> Mapping[tuple[str, str], int]:
        """How often a check went to "pass" or to "fail" in this process: (check, to which)."""

    async def trend(self, entity: Ref, start: date, end: date) -> Sequence[ScoreDay]:
        """As `ScoreStore.score_trend`."""

    async def rollup_trend(
        self, kind: str, name: str, start: date, end: date
    ) -> Sequence[RollupDay]:
        """As `ScoreStore.rollup_trend`."""

    async def changes(
        self, entities: Sequence[Ref], start: date, end: date
    ) -> Sequence[ScoreChange]:
        """What changed between the ends of two days, in the order asked."""


class NoticeStore(Protocol):
    """Keeps what teams were told and are to be told. Every method raises `StoreError`."""

    async def memory(self, source: str) -> NoticeMemory | None:
        """What was seen up to the last look; None before the first."""

    async def note(self, source: str, memory: NoticeMemory, deliveries: Sequence[Delivery]) -> None:
        """In one transaction what was seen, and what is to be told of it.

        An occasion that a channel has had is not noted again.
        """

    async def open(self, source: str) -> Sequence[Delivery]:
        """Those that wait or are being sent, the oldest first."""

    async def last_sent(self, source: str) -> Mapping[tuple[str, str], datetime]:
        """When each team was last sent something, by channel and team."""

    async def claim(
        self, source: str, deliveries: Sequence[Delivery], batch: str, at: datetime
    ) -> bool:
        """Write the intent to send these as one message; False when somebody else was faster.

        They must still be as they were given: in that state, since then.
        """

    async def settle(
        self, source: str, batch: str, state: DeliveryState, at: datetime, *, refused: bool = False
    ) -> None:
        """What became of a message."""

    async def drop(self, source: str, deliveries: Sequence[Delivery], at: datetime) -> None:
        """These are over before they were sent."""

    async def latest(self, source: str, limit: int) -> Sequence[Delivery]:
        """The newest ones."""

    async def tallies(self, source: str) -> Sequence[NoticeTally]:
        """How many there are, by channel and state."""

    async def prune(self, source: str, before: datetime) -> None:
        """Forget what was settled before then."""


class NoticeChannel(Protocol):
    """A way to tell a team something. Not an entry point."""

    @property
    def name(self) -> str:
        """A short name, for the store and the metrics."""

    @property
    def repeatable(self) -> bool:
        """Whether a message that is sent twice under one batch arrives once."""

    def reaches(self, team: str) -> bool:
        """Whether it leads to that team."""

    async def send(self, team: str, notices: Sequence[Notice], batch: str) -> DeliveryState:
        """SENT, WAITING when the receiver surely did not take it, else UNSURE; never raises."""

    async def close(self) -> None:
        """Release connections; safe to call twice."""

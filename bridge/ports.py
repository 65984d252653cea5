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
from datetime import date, datetime
from typing import Protocol, runtime_checkable

from bridge.model.access import Principal
from bridge.model.destinations import Fence, Found, Mark, PublishedCatalog
from bridge.model.entities import Json, Ref
from bridge.model.facts import CollectorRound, FactBoard, FactSchema, Reading, Subject
from bridge.model.manifests import AggregatedManifests, Translation
from bridge.model.memory import Memory, PassRecord
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
from bridge.model.runs import Artifact, Processed, Receipt
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
    """Turns aggregated manifests into artifacts. Pure: no I/O, no clock, order-independent."""

    @property
    def name(self) -> str:
        """A short name for logs and reports."""

    def process(self, manifests: AggregatedManifests) -> Processed:
        """The same manifests, in whatever order, give the same bytes."""


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

    async def found(self) -> Found:
        """What lies there now; cheap."""

    async def catalog(self) -> PublishedCatalog | None:
        """The `catalog.json` that lies there; None when there is none."""

    async def claim(self, mark: Mark, over: Mark | None) -> None:
        """Put `mark` where `over` stands (None: none does).

        Raises `PublishConflict` when something else stands there by now.
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


class Store(Protocol):
    """Keeps what must survive a restart. Not an entry point: SQLite or PostgreSQL by URL."""

    async def load(self, source: str) -> Memory:
        """All that is known of a source; empty when it was never seen. Raises `StoreError`."""

    async def save(
        self, source: str, before: Memory, after: Memory, record: PassRecord | None
    ) -> None:
        """Replace `before` by `after` in one transaction, writing only what differs.

        With `record`, also make it the source's latest pass. Raises `StoreConflict` when the
        source's count of passes is not `before`'s, `StoreError` for everything else.
        """

    async def passes_saved(self, source: str) -> int:
        """How many passes of a source were saved: `Horizon.passes` of what `load` would give."""

    async def latest(self, source: str) -> PassRecord | None:
        """The last saved pass of a source."""

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

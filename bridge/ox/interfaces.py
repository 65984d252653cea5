"""What Ox needs of others: stores of facts, scores and remediation, and a tracker of issues."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from types import MappingProxyType
from typing import Final, Protocol

from bridge.model.entities import Json, Ref
from bridge.model.facts import Reading
from bridge.model.notices import Delivery, DeliveryState, Notice, NoticeMemory, NoticeTally
from bridge.model.remediation import Case, IssueKey, RemediationRun, RemediationState
from bridge.model.scores import Rollup, RollupDay, RollupKind, Rubric, Scoreboard, ScoreDay
from bridge.model.tracker import (
    IssueChange,
    Listing,
    NewIssue,
    Proposal,
    SeenIssue,
    SeenMergeRequest,
)

NOWHERE: Final[Mapping[int, datetime]] = MappingProxyType({})


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
        self, source: str, kind: RollupKind, name: str, start: date, end: date
    ) -> Sequence[RollupDay]:
        """The same of a roll-up."""

    async def rollups_on(self, source: str, kind: RollupKind, day: date) -> Mapping[str, Rollup]:
        """How roll-ups of a kind stood at the end of a day, by name."""

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
        self, known: Collection[tuple[int, int]], unsure: Mapping[int, datetime] = NOWHERE
    ) -> Listing:
        """All issues that carry our label; `known` (project, iid) must be accounted for.

        Of the projects in `unsure`, where an issue may have been made without an answer, all that
        bot users of ours, or users who are no more, made there since then are read, too: whatever
        people did to its label or text. Never raises: what went wrong is in the listing.
        """

    async def closed(self, project_id: int) -> str:
        """Why nothing may be written in a project now; "" when it may. Raises `TrackerError`."""

    async def labelled_by(self, project_id: int, iid: int, label: str) -> str:
        """Who put a label on an issue last, as a user name; "" when GitLab does not say.

        Raises `TrackerError`.
        """

    async def open(self, issue: NewIssue) -> SeenIssue:
        """Make an issue."""

    async def change(self, change: IssueChange) -> SeenIssue:
        """Change an issue's texts, or its state, or both, in one request."""


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

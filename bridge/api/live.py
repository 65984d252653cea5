"""What is served right now: the last pass, swapped whole, never half old and half new."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from bridge.answers.lately import Lately
from bridge.catalog.index import Index
from bridge.model.census import Census
from bridge.model.entities import Json
from bridge.model.entity_changes import ChangeQuery, EntityChange
from bridge.model.memory import Horizon, KnownProject, Memory
from bridge.model.moments import iso
from bridge.model.numbers import FIRST, mark_in, mark_of
from bridge.model.problems import Problem
from bridge.model.receivers import ReceiverStanding
from bridge.model.replica_role import ReplicaRole
from bridge.model.runs import Artifact, Outcome, Report
from bridge.model.scrape import Coverage, Traffic
from bridge.model.statements import Statement, StoredFile
from bridge.model.work import SweepProgress
from bridge.passes.view import Known

_HELD = 64  # files whose bodies are kept at hand


@dataclass(frozen=True, slots=True)
class Served:
    """One artifact as HTTP gives it; `etag` is strong and quoted."""

    body: bytes
    content_type: str
    etag: str


async def no_file(path: str) -> tuple[Artifact, str] | None:
    """Where files come from when there are none."""
    return None


async def no_changes(query: ChangeQuery) -> list[EntityChange]:
    """What changed where no history is kept."""
    return []


async def no_sweeps() -> list[SweepProgress]:
    """How far sweeps are where none is shared."""
    return []


async def no_censuses(first: date) -> list[Census]:
    """The censuses where none are kept."""
    return []


async def nothing_said(ref: str) -> tuple[Sequence[Statement], Memory]:
    """What is said of an entity where no manifest is known."""
    return (), Memory()


async def no_census() -> Census | None:
    """The last census where there is none."""
    return None


async def no_receivers() -> list[ReceiverStanding]:
    """How receivers stand where there are none."""
    return []


async def nothing_known() -> Known:
    """What is known before the first pass."""
    return Known()


@dataclass(slots=True)
class SourceHealth:
    """How one source stands: what its last pass here gave, and how far it is known.

    `name` is its address. `outcome` is None until this process made a pass over it.
    """

    name: str
    traffic: Callable[[], Traffic] = Traffic
    outcome: Outcome | None = None
    failure: str = ""
    listed_at: datetime | None = None
    complete_at: datetime | None = None
    gaps: int = 0

    def as_json(self) -> dict[str, Json]:
        """What `/readyz` tells of it."""
        return {
            "url": self.name,
            "last_pass": self.outcome.value if self.outcome else None,
            "failure": self.failure,
            "known_until": iso(self.listed_at) or None,
            "complete_at": iso(self.complete_at) or None,
            "unreadable_projects": self.gaps,
        }


@dataclass(slots=True)
class Live:
    """The state that handlers read. One writer (the schedule), many readers, one event loop.

    `source` is what is crawled, `files` what is published by path, and `fetch` gives a file's body
    and digest. `index` is what the catalog's read API answers from. `known` gives all that is
    known, which costs what all of it costs; `changes` finds what changed, `lately` is what did
    within a day, `receivers` says how those stand who are told of it; `censuses` are those since a
    day, oldest first, and `last_census` is that of the last full pass; `said` gives what manifests
    say of an entity, and those manifests; `gaps` are since when projects cannot be read.
    """

    files: Mapping[str, StoredFile] = field(default_factory=dict)
    fetch: Callable[[str], Awaitable[tuple[Artifact, str] | None]] = no_file
    report: Report | None = None
    known: Callable[[], Awaitable[Known]] = nothing_known
    changes: Callable[[ChangeQuery], Awaitable[list[EntityChange]]] = no_changes
    lately: Lately | None = None
    censuses: Callable[[date], Awaitable[list[Census]]] = no_censuses
    last_census: Callable[[], Awaitable[Census | None]] = no_census
    said: Callable[[str], Awaitable[tuple[Sequence[Statement], Memory]]] = nothing_said
    receivers: Callable[[], Awaitable[list[ReceiverStanding]]] = no_receivers
    news: Callable[[], None] = lambda: None  # hears that there may be something to tell
    sweeps: Callable[[], Awaitable[list[SweepProgress]]] = no_sweeps  # that several processes read
    gaps: tuple[datetime, ...] = ()
    served_since: datetime | None = None
    last_complete: datetime | None = None
    known_until: datetime | None = None  # of several sources, the one that is known least far
    token_ends: dict[str, datetime | None] = field(default_factory=dict)  # by source, where known
    sources: Mapping[str, SourceHealth] = field(default_factory=dict)
    gitlabs: Mapping[str, str] = field(default_factory=dict)  # where their projects' pages are
    hints_waiting: Callable[[], int] = int
    passes: Counter[tuple[Coverage, Outcome]] = field(default_factory=Counter)  # made here
    hanging: Callable[[], Mapping[str, float]] = dict  # parts that do not move, overdue seconds
    role: ReplicaRole = ReplicaRole.LEADER
    store_away_since: datetime | None = None  # who leads cannot be known since then
    schemas: Mapping[str, bytes] = field(default_factory=dict)
    index: Index = field(default_factory=Index)
    source: str = ""
    notice: str = ""  # what every page says first
    public_url: str = "http://127.0.0.1:8080"  # where the files are
    refreshes: Mapping[str, int] = field(default_factory=dict)  # what Backstage was told, by result
    _bodies: OrderedDict[str, Served] = field(default_factory=OrderedDict)
    _fetching: asyncio.Lock = field(default_factory=asyncio.Lock)

    def take(
        self,
        report: Report,
        *,
        files: Mapping[str, StoredFile],
        index: Index,
        horizon: Horizon,
        now: datetime,
        gaps: Sequence[KnownProject] = (),
    ) -> None:
        """Serve a pass. A failed one updates the report; the files stay as they were."""
        self.report = report
        self._take_health(report, horizon, gaps)
        if report.outcome is Outcome.FAILED:
            return
        self.files, self.index, self.served_since = files, index, now
        self.gaps = tuple(each.gap_since for each in gaps if each.gap_since is not None)
        self.last_complete = horizon.whole_at
        listed = [horizon.of(name).listed_at for name in self.sources or (FIRST,)]
        seen = [each for each in listed if each is not None]
        self.known_until = min(seen) if len(seen) == len(listed) else None

    def _take_health(self, report: Report, horizon: Horizon, gaps: Sequence[KnownProject]) -> None:
        if report.source in self.sources:
            health = self.sources[report.source]
            health.outcome, health.failure = report.outcome, report.failure
        for name, health in self.sources.items():
            own = horizon.of(name)
            health.listed_at, health.complete_at = own.listed_at, own.complete_at
            health.gaps = sum(mark_in(each.project.id) == mark_of(name) for each in gaps)

    @property
    def several(self) -> bool:
        """Whether there are more sources than one."""
        return len(self.sources) > 1

    @property
    def token_end(self) -> datetime | None:
        """When the first of the tokens ends, as far as that is known."""
        return min((end for end in self.token_ends.values() if end is not None), default=None)

    def traffic(self) -> Traffic:
        """What was asked of all sources so far."""
        found = [each.traffic() for each in self.sources.values()]
        outcomes: Counter[str] = Counter()
        for each in found:
            outcomes.update(each.outcomes)
        return Traffic(outcomes, sum(each.waited for each in found))

    def note(self, problem: Problem) -> None:
        """Add what came up after the pass to its account."""
        if self.report is not None:
            self.report = replace(self.report, problems=(*self.report.problems, problem))

    @property
    def ready(self) -> bool:
        """Whether a catalog is served, however old."""
        return bool(self.files)

    async def file(self, path: str) -> Served | None:
        """A published file as it is now; None when there is none at this path."""
        if path not in self.files:
            return None
        held = self._bodies.get(path)
        if held is not None and held.etag == etag_of(self.files[path].digest):
            self._bodies.move_to_end(path)
            return held
        async with self._fetching:
            found = await self.fetch(path)
        if found is None:
            return None
        artifact, digest = found
        served = Served(artifact.body, artifact.content_type, etag_of(digest))
        self._bodies[path] = served
        while len(self._bodies) > _HELD:
            self._bodies.popitem(last=False)
        return served


def etag_of(digest: str) -> str:
    """A strong, quoted ETag from a hexadecimal digest."""
    return f'"{digest[:32]}"'

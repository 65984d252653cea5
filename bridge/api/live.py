"""What is served right now: the last pass, swapped whole, never half old and half new."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from bridge.catalog.index import Index
from bridge.model.memory import Horizon, KnownProject
from bridge.model.problems import Problem
from bridge.model.runs import Artifact, Outcome, Report
from bridge.model.scrape import Traffic
from bridge.model.statements import StoredFile
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


async def nothing_known() -> Known:
    """What is known before the first pass."""
    return Known()


@dataclass(slots=True)
class Live:
    """The state that handlers read. One writer (the schedule), many readers, one event loop.

    `source` is what is crawled, `files` what is published by path, and `fetch` gives a file's body
    and digest. `index` is what the catalog's read API answers from. `known` gives all that is
    known, which costs what all of it costs; `gaps` are since when projects cannot be read.
    """

    files: Mapping[str, StoredFile] = field(default_factory=dict)
    fetch: Callable[[str], Awaitable[tuple[Artifact, str] | None]] = no_file
    report: Report | None = None
    known: Callable[[], Awaitable[Known]] = nothing_known
    gaps: tuple[str, ...] = ()
    served_since: datetime | None = None
    last_complete: datetime | None = None
    token_end: datetime | None = None  # when the token for the source ends, as far as it is known
    traffic: Callable[[], Traffic] = Traffic
    hints_waiting: Callable[[], int] = int
    passes: Counter[tuple[str, str]] = field(default_factory=Counter)  # made here: kind, outcome
    hanging: Callable[[], Mapping[str, float]] = dict  # parts that do not move, overdue seconds
    role: str = "leader"  # or "follower": another replica makes the passes
    schemas: Mapping[str, bytes] = field(default_factory=dict)
    index: Index = field(default_factory=Index)
    source: str = ""
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
        if report.outcome is Outcome.FAILED:
            return
        complete = horizon.complete_at
        self.files, self.index, self.served_since = files, index, now
        self.gaps = tuple(each.gap_since for each in gaps)
        self.last_complete = datetime.fromisoformat(complete) if complete else None

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
        if held is not None and held.etag == _etag(self.files[path].digest):
            self._bodies.move_to_end(path)
            return held
        async with self._fetching:
            found = await self.fetch(path)
        if found is None:
            return None
        artifact, digest = found
        served = Served(artifact.body, artifact.content_type, _etag(digest))
        self._bodies[path] = served
        while len(self._bodies) > _HELD:
            self._bodies.popitem(last=False)
        return served


def _etag(digest: str) -> str:
    return f'"{digest[:32]}"'

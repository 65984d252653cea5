"""What is served right now: the last pass, swapped whole, never half old and half new."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from bridge.catalog.index import Index
from bridge.catalog.reader import Reader
from bridge.model.memory import Memory, PassRecord
from bridge.model.problems import Problem
from bridge.model.runs import Artifact, Outcome
from bridge.model.scrape import Traffic


@dataclass(frozen=True, slots=True)
class Served:
    """One artifact as HTTP gives it; `etag` is strong and quoted."""

    body: bytes
    content_type: str
    etag: str


@dataclass(slots=True)
class Live:
    """The state that handlers read. One writer (the schedule), many readers, one event loop.

    `source` is what is crawled. `index` is what the catalog's read API answers from; `reader`
    makes it.
    """

    files: Mapping[str, Served] = field(default_factory=dict)
    record: PassRecord | None = None
    memory: Memory = field(default_factory=Memory)
    served_since: datetime | None = None
    last_complete: datetime | None = None
    token_end: datetime | None = None  # when the token for the source ends, as far as it is known
    traffic: Callable[[], Traffic] = Traffic
    hints_waiting: Callable[[], int] = int
    passes: Counter[tuple[str, str]] = field(default_factory=Counter)  # made here: kind, outcome
    hanging: Callable[[], Mapping[str, float]] = dict  # parts that do not move, overdue seconds
    role: str = "leader"  # or "follower": another replica makes the passes
    schemas: Mapping[str, bytes] = field(default_factory=dict)
    reader: Reader = field(default_factory=Reader)
    index: Index = field(default_factory=Index)
    source: str = ""
    _taking: asyncio.Lock = field(default_factory=asyncio.Lock)

    refreshes: Mapping[str, int] = field(default_factory=dict)  # what Backstage was told, by result

    def note(self, problem: Problem) -> None:
        """Add what came up after the pass to its account."""
        if self.record is not None:
            report = self.record.report
            report = replace(report, problems=(*report.problems, problem))
            self.record = replace(self.record, report=report)

    @property
    def ready(self) -> bool:
        """Whether a catalog is served, however old."""
        return bool(self.files)

    def show(
        self, record: PassRecord, artifacts: tuple[Artifact, ...], memory: Memory, now: datetime
    ) -> None:
        """Serve this pass. A failed pass updates the report; the files stay as they were."""
        if record.report.outcome is Outcome.FAILED:
            self._fail(record)
        else:
            self._swap(record, self._made(record, artifacts), memory, now)

    async def take(
        self, record: PassRecord, artifacts: tuple[Artifact, ...], memory: Memory, now: datetime
    ) -> None:
        """As `show`, but what takes long is done beside the event loop, and swapped in whole.

        Passes that end close to each other are shown in their order.
        """
        async with self._taking:
            if record.report.outcome is Outcome.FAILED:
                self._fail(record)
            else:
                made = await asyncio.to_thread(self._made, record, artifacts)
                self._swap(record, made, memory, now)

    def _fail(self, record: PassRecord) -> None:
        """Its account alone counts: what is served stays."""
        self.record = replace(self.record, report=record.report) if self.record else record

    def _made(
        self, record: PassRecord, artifacts: tuple[Artifact, ...]
    ) -> tuple[Mapping[str, Served], Index]:
        files = {artifact.path: self._served(artifact) for artifact in artifacts}
        return files, self.reader.read(record.catalog)

    def _swap(
        self,
        record: PassRecord,
        made: tuple[Mapping[str, Served], Index],
        memory: Memory,
        now: datetime,
    ) -> None:
        complete_at = memory.horizon.complete_at
        self.last_complete = datetime.fromisoformat(complete_at) if complete_at else None
        self.record, self.memory, self.served_since = record, memory, now
        self.files, self.index = made

    def _served(self, artifact: Artifact) -> Served:
        known = self.files.get(artifact.path)
        if known is not None and known.body == artifact.body:
            return known
        digest = hashlib.sha256(artifact.body).hexdigest()[:32]
        return Served(artifact.body, artifact.content_type, f'"{digest}"')

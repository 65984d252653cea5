"""What is served right now: the last pass, swapped whole, never half old and half new."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bridge.model.memory import Memory, PassRecord
from bridge.model.runs import Artifact, Outcome


@dataclass(frozen=True, slots=True)
class Served:
    """One artifact as HTTP gives it; `etag` is strong and quoted."""

    body: bytes
    content_type: str
    etag: str


@dataclass(slots=True)
class Live:
    """The state that handlers read. One writer (the schedule), many readers, one event loop."""

    files: Mapping[str, Served] = field(default_factory=dict)
    record: PassRecord | None = None
    memory: Memory = field(default_factory=Memory)
    served_since: datetime | None = None
    last_complete: datetime | None = None
    role: str = "leader"  # or "follower": another replica makes the passes
    schemas: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """Whether a catalog is served, however old."""
        return bool(self.files)

    def show(
        self, record: PassRecord, artifacts: tuple[Artifact, ...], memory: Memory, now: datetime
    ) -> None:
        """Serve this pass. A failed pass updates the report; the files stay as they were."""
        self.record = record
        if record.report.outcome is Outcome.FAILED:
            return
        complete_at = memory.horizon.complete_at
        self.last_complete = datetime.fromisoformat(complete_at) if complete_at else None
        self.memory = memory
        self.served_since = now
        self.files = {artifact.path: self._served(artifact) for artifact in artifacts}

    def _served(self, artifact: Artifact) -> Served:
        known = self.files.get(artifact.path)
        if known is not None and known.body == artifact.body:
            return known
        digest = hashlib.sha256(artifact.body).hexdigest()[:32]
        return Served(artifact.body, artifact.content_type, f'"{digest}"')

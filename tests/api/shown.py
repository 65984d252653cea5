"""Serves a pass that a test made by hand, as `serve` shows those of the store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from bridge.api.live import Live
from bridge.catalog.reader import Reader
from bridge.exporters.render import shards
from bridge.model.memory import Memory, PassRecord
from bridge.model.runs import Artifact, Outcome
from bridge.model.statements import StoredFile
from bridge.passes.view import Known


def show(
    live: Live, record: PassRecord, artifacts: Sequence[Artifact], memory: Memory, now: datetime
) -> None:
    held = {a.path: (a, sha256(a.body).hexdigest()) for a in artifacts}

    async def fetch(path: str) -> tuple[Artifact, str] | None:
        return held.get(path)

    async def known() -> Known:
        return Known(memory, record)

    files = {
        path: StoredFile(path, digest, a.content_type, a.stage.value)
        for path, (a, digest) in held.items()
    }
    index = Reader(shards, live.public_url).read(record.catalog)
    gaps = [each for each in memory.projects.values() if each.gap_since]
    live.take(record.report, files=files, index=index, horizon=memory.horizon, gaps=gaps, now=now)
    if record.report.outcome is not Outcome.FAILED:  # which publishes nothing
        live.fetch = fetch
    live.known = known

"""What answers draw on: from a store, or from what `serve` holds in memory."""

from __future__ import annotations

from datetime import datetime

from bridge.answers.knowledge import Knowledge
from bridge.catalog.reader import Reader
from bridge.store import SqlStore


async def stored_knowledge(store: SqlStore, source: str) -> Knowledge | None:
    """What a store knows of a source; None before its first pass. Raises `StoreError`."""
    record = await store.latest(source)
    if record is None:
        return None
    memory = await store.load(source)
    board = await store.scores().latest_scores(source)
    complete, started = memory.horizon.complete_at, record.report.started_at
    return Knowledge(
        Reader().read(record.catalog),
        await store.facts().latest_facts(source),
        board.scores if board is not None else {},
        read_at=datetime.fromisoformat(started) if started else None,
        complete_at=datetime.fromisoformat(complete) if complete else None,
    )

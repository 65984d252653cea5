"""What tests of passes stand on: short pages, and a store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.scrapers.gitlab import enumerate as enumeration
from bridge.store import SqlStore, open_store
from tests.fakes import fresh


@pytest.fixture(autouse=True)
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten projects a page instead of a hundred: several pages, side by side, for few projects."""
    monkeypatch.setattr(enumeration, "PER_PAGE", 10)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    """A new store."""
    opened = await open_store(fresh(tmp_path))
    yield opened
    # A worker may be at a part yet: a connection that comes back to a closed store stays open.
    if working := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(working)
    await opened.close()

"""A small town that takes several pages to list."""

from __future__ import annotations

import pytest

from bridge.scrapers.gitlab import enumerate as enumeration


@pytest.fixture(autouse=True)
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten projects a page instead of a hundred: several pages, side by side, for few projects."""
    monkeypatch.setattr(enumeration, "PER_PAGE", 10)

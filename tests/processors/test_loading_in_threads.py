"""A process that leads and reads for others loads its mapping files in two threads at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from cachetools import LRUCache

from bridge.processors.mapping import loading


@pytest.fixture
def few_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer files are kept than there are."""
    loading.load_files(None)  # schemas take longest, and are kept
    monkeypatch.setattr(loading, "_kept", LRUCache(maxsize=3))


@pytest.mark.usefixtures("few_kept", "impatient_threads")
def test_each_loads_all_of_them() -> None:
    def loaded(_: int) -> list[str]:
        return [each.id for each in loading.load_files(None)]

    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(loaded, range(48)))
    assert found == [loaded(0)] * 48

"""A process that leads and reads for others loads its mapping files in two threads at once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from cachetools import LRUCache

from bridge.processors.mapping import loading


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Threads that are changed as often as can be, and fewer files kept than there are."""
    loading.load_files(None)  # schemas take longest, and are kept
    monkeypatch.setattr(loading, "_kept", LRUCache(maxsize=3))
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("impatient")
def test_each_loads_all_of_them() -> None:
    def loaded(_: int) -> list[str]:
        return [each.id for each in loading.load_files(None)]

    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(loaded, range(48)))
    assert found == [loaded(0)] * 48

"""A process that leads and reads for others loads its mapping files in two threads at once."""

from __future__ import annotations

import pytest

from bridge.processors.mapping import loading
from tests.guarded import Guarded


def test_what_is_kept_is_touched_by_one_thread_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer files are kept than there are: a thread that finds one throws another out."""
    expected = [each.id for each in loading.load_files(None)]
    kept = Guarded(loading._loading, maxsize=3)
    schemas = Guarded(loading._loading, maxsize=64)
    monkeypatch.setattr(loading, "_kept", kept)
    monkeypatch.setattr(loading, "_checked", schemas)
    for _ in range(2):
        assert [each.id for each in loading.load_files(None)] == expected
    assert kept.touched > len(expected)
    assert schemas.touched > 0
    assert (kept.unguarded, schemas.unguarded) == (0, 0)

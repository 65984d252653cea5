"""One index is asked from several threads at once: by the read API, and by pages beside it."""

from __future__ import annotations

from bridge.catalog.reader import Reader
from tests.backstage.village import village
from tests.catalog.test_reader import catalog_of
from tests.guarded import Guarded


def test_what_it_remembers_is_touched_by_one_thread_at_a_time() -> None:
    """It remembers less than it is asked for: who asks throws out what another one looks for."""
    index = Reader().read(catalog_of(village()))
    expected = index.having("kind")
    index._masks = remembered = Guarded(index._remembering, maxsize=3)
    for term in (f"{number}x" for number in range(9)):
        index.containing(("metadata.name",), term)
        assert index.having("kind") == expected
    assert remembered.touched > 2 * 9
    assert remembered.unguarded == 0

"""One index is asked from several threads at once: by the read API, and by pages beside it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from bridge.catalog.index import Index
from bridge.catalog.reader import Reader
from tests.backstage.village import village
from tests.catalog.test_reader import catalog_of

TERMS = [f"{number}x" for number in range(400)]  # more than are remembered


@pytest.mark.usefixtures("impatient_threads")
def test_it_answers_in_every_one_of_them() -> None:
    index = Reader().read(catalog_of(village()))
    expected = index.equal("kind", ("component",)).bit_count()

    def asked(start: int) -> set[int]:
        return {_components(index, term) for term in (*TERMS[start:], *TERMS[:start]) * 30}

    with ThreadPoolExecutor(6) as threads:
        found = set[int]().union(*threads.map(asked, range(0, 400, 67)))
    assert found == {expected}


def _components(index: Index, term: str) -> int:
    index.containing(("metadata.name",), term)
    return index.equal("kind", ("component",)).bit_count()

"""No page of a large catalog weighs more than 200 kB, however much there is to tell."""

from __future__ import annotations

import pytest

from tests.benchmarks.pages import PAGES, served

pytestmark = pytest.mark.real

HEAVIEST = 200_000
SERVICES = 1_500  # more than any page shows of anything


async def test_no_page_of_a_large_catalog_is_heavy() -> None:
    async with served(SERVICES) as client:
        weights = {}
        for path in PAGES:
            answer = await client.get(path)
            assert answer.status == 200, path
            weights[path] = len(await answer.read())
    assert {path: weight for path, weight in weights.items() if weight > HEAVIEST} == {}

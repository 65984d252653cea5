"""No page of a large catalog weighs more than 200 kB, however much there is to tell."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import TestClient, TestServer

from bridge.answers.system_map import MOST_ARROWS, MOST_BOXES
from bridge.api.app import make_app
from bridge.api.live import Live
from bridge.api.parts import AppParts
from bridge.model.entities import Catalog
from bridge.model.memory import Memory, PassRecord
from bridge.model.runs import Outcome, Report
from tests.answers.fleet import SHOP, service
from tests.api.shown import show
from tests.benchmarks.pages import HEAVIEST, PAGES
from tests.benchmarks.town import served
from tests.fakes import NOON

pytestmark = pytest.mark.real

SERVICES = 1_500  # more than any page shows of anything


async def test_no_page_of_a_large_catalog_is_heavy() -> None:
    async with served(SERVICES) as client:
        weights = {}
        for path in PAGES:
            answer = await client.get(path)
            assert answer.status == 200, path
            weights[path] = len(await answer.read())
    assert {path: weight for path, weight in weights.items() if weight > HEAVIEST} == {}


async def test_a_map_of_much_that_is_tied_to_much_is_light() -> None:
    names = [f"a-service-with-a-long-name-{number}" for number in range(MOST_BOXES)]
    made = [service(name, needs=tuple(names[at : at + 24])) for at, name in enumerate(names)]
    live = Live()
    catalog = Catalog(tuple(sorted([SHOP, *made], key=lambda each: str(each.ref))))
    show(live, PassRecord(Report(Outcome.COMPLETE, 1.0), catalog), (), Memory(), NOON)
    async with TestClient(TestServer(make_app(live, AppParts()))) as client:
        for path in ("/map", "/map/system:default/shop", "/entity/system:default/shop"):
            page = await (await client.get(path)).text()
            assert page.count("<path d=") == 1 + MOST_ARROWS, path  # and the tip of an arrow
            assert len(page) < HEAVIEST, path

"""A team's page: its services with their scores, its problems, its waivers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestClient

from bridge.api.app import make_app
from bridge.api.live import Live
from bridge.api.parts import AppParts
from bridge.model.entities import Catalog, CatalogEntity, Ref
from bridge.model.memory import Memory, PassRecord
from bridge.model.runs import Outcome, Report
from bridge.model.scores import Waiver, WaiverPlace
from tests.api.scored import API, EVIL, TODAY, WEB, scored
from tests.api.shown import show

Client = TestClient[web.Request, web.Application]
MakeClient = Callable[[web.Application], Awaitable[Client]]
ENDS = TODAY.date() + timedelta(days=3)
RED = {"kind": "Group", "metadata": {"name": "red"}, "spec": {}}


async def page_of(live: Live, aiohttp_client: MakeClient, folder: Path) -> str:
    given = {API.ref: [Waiver("protected", f"soon gone {EVIL}", ENDS, WaiverPlace.ISSUE)]}

    async def waived() -> Mapping[Ref, Sequence[Waiver]]:
        return given

    async with scored(folder, waived) as keeper:
        client = await aiohttp_client(make_app(live, AppParts(clock=lambda: TODAY, scored=keeper)))
        return await (await client.get("/entity/group:default/red")).text()


async def test_scores_and_waivers_stand_on_the_page(
    tmp_path: Path, aiohttp_client: MakeClient
) -> None:
    live = Live()
    catalog = Catalog((API, WEB, CatalogEntity(Ref.of(RED), RED, ())))
    show(live, PassRecord(Report(Outcome.COMPLETE, 1.0), catalog), (), Memory(), TODAY)
    page = await page_of(live, aiohttp_client, tmp_path)
    services = page.partition("Services")[2].partition("</table>")[0]
    assert services.index(">api<") < services.index(">web<")  # tier 2 before tier 4
    assert "/scores/entity/component:default/web" in services
    assert "on average" in page
    assert f"until {ENDS}, soon: soon gone" in page
    assert EVIL not in page
    assert '<p class="soft">None.</p>' in page  # problems


async def test_a_team_without_anything_is_told_how_that_changes(
    tmp_path: Path, aiohttp_client: MakeClient
) -> None:
    live, catalog = Live(), Catalog((CatalogEntity(Ref.of(RED), RED, ()),))
    show(live, PassRecord(Report(Outcome.COMPLETE, 1.0), catalog), (), Memory(), TODAY)
    page = await page_of(live, aiohttp_client, tmp_path)
    assert "a service is this team's when its manifest names it" in page

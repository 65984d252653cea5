"""What changed, as data and as a page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from bridge.api.app import make_app
from bridge.api.live import Live
from bridge.model.entities import Ref
from bridge.model.entity_changes import (
    ChangedManifest,
    ChangeKind,
    ChangeQuery,
    EntityChange,
    FieldChange,
)
from tests.fakes import NOON

Client = TestClient[web.Request, web.Application]
MakeClient = Callable[[web.Application], Awaitable[Client]]
EVIL = "<script>alert(1)</script>"


def change(number: int) -> EntityChange:
    return EntityChange(
        Ref("component", "default", "cart"),
        ChangeKind.CHANGED,
        NOON,
        f"Cart {EVIL}",
        "group:default/crew",
        manifests=(ChangedManifest("shop/cart", "qm.yaml", "abc"),),
        fields=(FieldChange("spec.owner", EVIL, "crew"),),
        number=number,
    )


@pytest.fixture
def asked() -> list[ChangeQuery]:
    return []


@pytest.fixture
async def client(aiohttp_client: MakeClient, asked: list[ChangeQuery]) -> Client:
    async def changes(query: ChangeQuery) -> list[EntityChange]:
        asked.append(query)
        below = query.below or 151
        return [change(number) for number in range(below - 1, 0, -1)][: query.limit]

    live = Live()
    live.changes = changes
    return await aiohttp_client(make_app(live, clock=lambda: NOON))


async def test_the_data_comes_in_sheets_that_follow_each_other(client: Client) -> None:
    first = await (await client.get("/api/changes")).json()
    assert [each["number"] for each in first["items"]] == list(range(150, 50, -1))
    assert first["nextBelow"] == 51
    rest = await (await client.get("/api/changes?below=51")).json()
    assert [each["number"] for each in rest["items"]] == list(range(50, 0, -1))
    assert rest["nextBelow"] is None
    assert first["items"][0]["fields"] == [{"path": "spec.owner", "before": EVIL, "after": "crew"}]


async def test_names_and_spans_are_understood(client: Client, asked: list[ChangeQuery]) -> None:
    await client.get("/api/changes?ref=cart&owner=crew&project=shop/cart&kind=added&since=2h")
    (query,) = asked
    assert query.ref == "component:default/cart"
    assert query.owner == "group:default/crew"
    assert query.since == NOON - timedelta(hours=2)
    assert (query.project, query.kind) == ("shop/cart", "added")


@pytest.mark.parametrize(
    "wrong",
    ["kind=x", "since=soon", "since=2026-01-01", "since=99999d&until=x", "ref=a/b/c", "below=x"],
)
async def test_what_cannot_be_meant_is_said(client: Client, wrong: str) -> None:
    answer = await client.get(f"/api/changes?{wrong}")
    assert answer.status == 400
    assert (await answer.json())["error"]["name"] == "InputError"
    page = await client.get(f"/changes?{wrong}")
    assert page.status == 400
    assert 'class="error"' in await page.text()


async def test_the_page_shows_changes_and_runs_nothing(client: Client) -> None:
    text = await (await client.get("/changes?owner=crew")).text()
    assert "<code>spec.owner</code>" in text
    assert "shop/cart qm.yaml" in text
    assert EVIL not in text
    assert 'href="/changes?owner=crew&amp;below=51"' in text


async def test_an_empty_page_says_what_will_come(aiohttp_client: MakeClient) -> None:
    client = await aiohttp_client(make_app(Live(), clock=lambda: NOON))
    assert "from the second pass on" in await (await client.get("/changes")).text()

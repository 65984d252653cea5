"""The page of notices, over a real store and a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from bridge.api.app import make_app
from bridge.api.live import Live
from bridge.api.parts import AppParts
from bridge.model.notices import Delivery, Notice, NoticeKind, NoticeMemory
from bridge.store.store import open_store
from bridge.wiring.remediation import Book

pytestmark = pytest.mark.real

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOURCE = "https://gitlab.example.com"
HOSTILE = "<script>alert(1)</script> broke"


def delivery(key: str, team: str, text: str, link: str = "") -> Delivery:
    notice = Notice(key, NoticeKind.GATE, f"group:default/{team}", text, link=link)
    return Delivery(notice, "webhook", NOW - timedelta(hours=2), NOW - timedelta(hours=2))


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[TestClient]:  # type: ignore[type-arg]
    store = await open_store(f"sqlite:///{tmp_path}/store.db")
    given = [
        delivery("a", "shop", HOSTILE, "javascript:alert(2)"),
        delivery("b", "pay", "the gate owner", "/scores/entity/component:default/pay"),
    ]
    await store.notices.note(SOURCE, NoticeMemory(), given)
    app = make_app(Live(), AppParts(remediation=Book(SOURCE, store), clock=lambda: NOW))
    async with TestClient(TestServer(app)) as made:
        yield made
    await store.close()


async def test_each_stands_there_with_how_far_it_is(client: TestClient) -> None:  # type: ignore[type-arg]
    text = await (await client.get("/notices")).text()
    assert "2 hours ago" in text
    assert "gate broke: the gate owner" in text
    assert 'href="/scores/entity/component:default/pay"' in text
    assert '<td class="num" data-label="Notices">2</td>' in text, "counted by channel and state"


async def test_what_strangers_wrote_is_text_and_leads_nowhere(client: TestClient) -> None:  # type: ignore[type-arg]
    text = await (await client.get("/notices?team=shop")).text()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "javascript:" not in text
    assert "the gate owner" not in text, "another team's"


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("state=sent", 200, "None that fits"),
        ("state=waiting&team=pay", 200, "the gate owner"),
        ("state=nonsense", 400, "is one of waiting"),
        ("team=a/b/c", 400, "is a reference like"),
        ("team=a%00b", 400, "cannot be printed"),
    ],
)
async def test_filters(client: TestClient, query: str, status: int, said: str) -> None:  # type: ignore[type-arg]
    answer = await client.get(f"/notices?{query}")
    assert (answer.status, said in await answer.text()) == (status, True)
    data = await client.get(f"/api/ox/notices?{query}")
    assert data.status == status


async def test_where_none_was_made_the_page_says_how_they_are_turned_on() -> None:
    async with TestClient(TestServer(make_app(Live(), AppParts()))) as client:
        answer = await client.get("/notices")
        assert (answer.status, "notices.send" in await answer.text()) == (200, True)

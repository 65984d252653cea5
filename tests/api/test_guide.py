"""The guide as pages: rendered, escaped, linked, and behind the same door as the others."""

from __future__ import annotations

import re

import pytest
from aiohttp.test_utils import TestClient, TestServer

from bridge.api.access import Access
from bridge.api.app import make_app
from bridge.api.guide import anchor, as_html
from bridge.api.live import Live
from bridge.api.parts import AppParts
from bridge.docs import TOPICS, guide_page
from bridge.model.access import Principal


class Nobody:
    """Recognizes no token."""

    async def recognize(self, token: str) -> Principal:
        raise AssertionError("nobody asked with a token")


@pytest.mark.parametrize("topic", TOPICS)
def test_every_link_of_a_page_leads_to_a_page_and_a_heading(topic: str) -> None:
    html = as_html(topic)
    assert "<h1 id=" in html
    for path, target in re.findall(r'href="([^"#]*)#?([^"]*)"', html):
        if path.startswith("https://"):
            continue
        named = path.removeprefix("/docs/") or topic
        assert named in TOPICS, path
        assert not target or f'id="{target}"' in as_html(named), target


def test_what_looks_like_html_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    evil = guide_page("extend").__class__("extend", "x", "# x\n\n<script>alert(1)</script>\n")
    monkeypatch.setattr("bridge.api.guide.guide_page", lambda topic: evil)
    assert "<script>" not in as_html.__wrapped__("extend")


def test_an_anchor_is_what_gitlab_makes_of_a_heading() -> None:
    assert anchor("Who may ask") == "who-may-ask"
    assert anchor("Backstage's `qm.yaml`") == "backstages-qmyaml"


@pytest.mark.real
async def test_pages_are_listed_served_and_missed() -> None:
    async with TestClient(TestServer(make_app(Live(), AppParts()))) as client:
        contents = await (await client.get("/docs")).text()
        assert all(f'href="/docs/{topic}"' in contents for topic in TOPICS)
        assert 'href="/docs"' in await (await client.get("/")).text()
        page = await client.get("/docs/manifest")
        assert (page.status, page.content_type) == (200, "text/html")
        text = await page.text()
        assert "<table" in text
        scrolled = re.findall(r"<(?:pre|table)[^>]*>", text)
        assert all(tag.endswith(' tabindex="0">') for tag in scrolled), scrolled
        missed = await client.get("/docs/manifst")
        assert missed.status == 404
        assert "did you mean `manifest`?" in await missed.text()


@pytest.mark.real
async def test_the_guide_is_read_by_those_who_may_read_pages() -> None:
    app = make_app(Live(), AppParts(access=Access(Nobody(), frozenset(), frozenset())))
    async with TestClient(TestServer(app)) as client:
        assert (await client.get("/docs")).status == 401
        assert (await client.get("/docs/manifest")).status == 401

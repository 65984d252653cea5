"""The guide as pages: `/docs` lists the topics, `/docs/{topic}` is one of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

from aiohttp import web
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from bridge.api.answers import error_response
from bridge.api.rendering import render
from bridge.docs import TOPICS, guide_page
from bridge.language.names import did_you_mean


def routes() -> list[web.RouteDef]:
    """The guide's routes."""
    return [web.get("/docs", _contents), web.get("/docs/{topic}", _page)]


async def _contents(request: web.Request) -> web.StreamResponse:
    """`GET /docs`: every topic and what its page is about."""
    return render(request, "guide.html", topics=TOPICS, topic="", body=Markup())


async def _page(request: web.Request) -> web.StreamResponse:
    """`GET /docs/{topic}`: one page of the guide."""
    topic = request.match_info["topic"]
    if topic not in TOPICS:
        message = f"no such page: /docs lists them{did_you_mean(topic, TOPICS)}"
        return error_response(request, 404, "NotFoundError", message)
    return render(request, "guide.html", topics=TOPICS, topic=topic, body=as_html(topic))


@cache
def as_html(topic: str) -> Markup:
    """A page of the guide as HTML; what looks like HTML in it is text."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(guide_page(topic).text)
    for heading, title in pairwise(tokens):
        if heading.type == "heading_open":
            heading.attrSet("id", anchor(title.content))
        elif heading.type == "table_open":
            heading.attrSet("tabindex", "0")
    _lead_to_pages(tokens)
    # Rendered from our own text, by a renderer that escapes: it is HTML now.
    html = Markup(markdown.renderer.render(tokens, markdown.options, {}))  # noqa: S704
    # What is wider than a phone is scrolled; who has no mouse does so with the keyboard's focus.
    return html.replace(Markup("<pre>"), Markup('<pre tabindex="0">'))


def anchor(heading: str) -> str:
    """What a link calls a heading, as GitLab makes it: `Who may ask` is `who-may-ask`."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _lead_to_pages(tokens: Sequence[Token]) -> None:
    """Links to a page's file, `operate.md#settings`, lead to the page here."""
    for token in tokens:
        href = token.attrGet("href")
        if token.type == "link_open" and isinstance(href, str):
            token.attrSet("href", re.sub(r"^([\w-]+)\.md(?=#|$)", r"/docs/\1", href))
        _lead_to_pages(token.children or ())

"""What changed, newest first: `GET /api/changes`, the page `/changes` and the feed beside it."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from urllib.parse import urlencode

from aiohttp import web

from bridge.answers.changes import ASKED, Told, told
from bridge.answers.wording import age
from bridge.api.answers import conditional, error_response
from bridge.api.changes.atom import TYPE, atom_feed
from bridge.api.incident import KNOWLEDGE
from bridge.api.keys import CLOCK, LIVE
from bridge.api.live import Served, etag_of
from bridge.api.rendering import MAX_QUERY, render
from bridge.errors import BadQuestion


def routes() -> list[web.RouteDef]:
    """The routes."""
    return [
        web.get("/api/changes", _changes),
        web.get("/changes", _page),
        web.get("/changes.atom", _feed),
        web.get("/api/changes/receivers", _receivers),
        web.get("/changes/receivers", _receivers_page),
    ]


async def _told(request: web.Request) -> Told:
    """What a request asks for. Raises `BadQuestion`, `StoreError`."""
    app = request.app
    return await told(request.query, app[KNOWLEDGE](), app[LIVE].changes, app[CLOCK]())


async def _changes(request: web.Request) -> web.StreamResponse:
    try:
        found = await _told(request)
    except BadQuestion as refusal:
        return error_response(request, 400, "InputError", str(refusal))
    return web.json_response(found.as_json())


async def _page(request: web.Request) -> web.StreamResponse:
    asked = _asked(request)
    wrong = ""
    try:
        found = await _told(request)
    except BadQuestion as refusal:
        found, wrong = Told(request.app[CLOCK]()), str(refusal)
    earlier = {**asked, "below": str(found.following)} if found.following is not None else {}
    return render(
        request,
        "changes.html",
        status=400 if wrong else 200,
        asked=asked,
        wrong=wrong,
        told=found,
        changes=found.changes,
        following=_path("/changes", earlier) if earlier else "",
        feed="" if wrong else _path("/changes.atom", asked),
    )


async def _feed(request: web.Request) -> web.StreamResponse:
    """The newest changes for a feed reader, which asks again and again: by ETag."""
    try:
        found = await _told(request)
    except BadQuestion as refusal:
        return error_response(request, 400, "InputError", str(refusal))
    live, asked = request.app[LIVE], _asked(request)
    following = {**asked, "below": str(found.following)} if found.following is not None else {}
    body = atom_feed(
        found.changes,
        source=live.source,
        base=live.public_url.rstrip("/"),
        query=_query(asked),
        following=_query(following),
    )
    return conditional(request, Served(body, TYPE, etag_of(sha256(body).hexdigest())))


async def _receivers(request: web.Request) -> web.StreamResponse:
    standings = await request.app[LIVE].receivers()
    return web.json_response({"items": [each.as_json() for each in standings]})


async def _receivers_page(request: web.Request) -> web.StreamResponse:
    """Who is told by webhook, how far, and why somebody was not."""
    now = request.app[CLOCK]()
    standings = await request.app[LIVE].receivers()
    return render(
        request, "receivers.html", standings=standings, ago=lambda moment: age(moment, now)
    )


def _asked(request: web.Request) -> dict[str, str]:
    return {name: request.query.get(name, "")[:MAX_QUERY] for name in ASKED}


def _query(asked: Mapping[str, str]) -> str:
    """The filters that say something."""
    return urlencode({name: value for name, value in asked.items() if value})


def _path(path: str, asked: Mapping[str, str]) -> str:
    query = _query(asked)
    return f"{path}?{query}" if query else path

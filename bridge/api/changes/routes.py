"""What changed, newest first: `GET /api/changes`, the page `/changes` and the feed beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from bridge.answers.changed import change_json
from bridge.api.answers import conditional, error_response
from bridge.api.changes.atom import TYPE, atom_feed
from bridge.api.keys import CLOCK, LIVE
from bridge.api.live import Served, etag_of
from bridge.api.pages import MAX_QUERY, render
from bridge.errors import BadQuestion
from bridge.model.entities import Ref
from bridge.model.entity_changes import ChangeKind, ChangeQuery, EntityChange

PAGE: Final = 100
_ASKED: Final = ("ref", "entity_kind", "owner", "project", "kind", "since", "until")
_SPAN: Final = re.compile(r"(\d{1,5})(m|h|d)")
_UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def routes() -> list[web.RouteDef]:
    """The routes."""
    return [
        web.get("/api/changes", _changes),
        web.get("/changes", _page),
        web.get("/changes.atom", _feed),
    ]


async def _changes(request: web.Request) -> web.StreamResponse:
    try:
        query = question(request.query, request.app[CLOCK]())
    except BadQuestion as refusal:
        return error_response(request, 400, "InputError", str(refusal))
    found, following = await _found(request, query)
    return web.json_response(
        {"items": [change_json(each) for each in found], "nextBelow": following}
    )


async def _page(request: web.Request) -> web.StreamResponse:
    asked = _asked(request)
    try:
        query = question(request.query, request.app[CLOCK]())
    except BadQuestion as refusal:
        return render(
            request,
            "changes.html",
            status=400,
            asked=asked,
            wrong=str(refusal),
            changes=[],
            following="",
            feed="",
        )
    found, below = await _found(request, query)
    kept = _kept(asked)
    following = f"/changes?{urlencode({**kept, 'below': below})}" if below else ""
    return render(
        request,
        "changes.html",
        asked=asked,
        wrong="",
        changes=found,
        following=following,
        feed=f"/changes.atom{'?' if kept else ''}{urlencode(kept)}",
    )


async def _feed(request: web.Request) -> web.StreamResponse:
    """The newest changes for a feed reader, which asks again and again: by ETag."""
    try:
        query = question(request.query, request.app[CLOCK]())
    except BadQuestion as refusal:
        return error_response(request, 400, "InputError", str(refusal))
    found, below = await _found(request, query)
    live, kept = request.app[LIVE], _kept(_asked(request))
    body = atom_feed(
        found,
        source=live.source,
        base=live.public_url.rstrip("/"),
        query=urlencode(kept),
        following=urlencode({**kept, "below": below}) if below else "",
    )
    return conditional(request, Served(body, TYPE, etag_of(sha256(body).hexdigest())))


def _asked(request: web.Request) -> dict[str, str]:
    return {name: request.query.get(name, "")[:MAX_QUERY] for name in _ASKED}


def _kept(asked: Mapping[str, str]) -> dict[str, str]:
    """The filters that say something."""
    return {name: value for name, value in asked.items() if value}


async def _found(request: web.Request, query: ChangeQuery) -> tuple[list[EntityChange], int | None]:
    """Those of a sheet, and the number below which the next one begins; None: there is none."""
    found = await request.app[LIVE].changes(query)
    shown = found[:PAGE]
    return shown, shown[-1].number if len(found) > PAGE else None


def question(asked: Mapping[str, str], now: datetime) -> ChangeQuery:
    """The query that parameters mean; raises `BadQuestion`."""
    kind = asked.get("kind", "")
    if kind and kind not in [each.value for each in ChangeKind]:
        raise BadQuestion(f"`kind` is one of {', '.join(ChangeKind)}")
    return ChangeQuery(
        ref=_ref(asked.get("ref", ""), "component", "ref"),
        entity_kind=asked.get("entity_kind", "").lower()[:MAX_QUERY],
        owner=_ref(asked.get("owner", ""), "group", "owner"),
        project=asked.get("project", "").strip("/ ")[:MAX_QUERY],
        kind=kind,
        since=_moment(asked.get("since", ""), now, "since"),
        until=_moment(asked.get("until", ""), now, "until"),
        below=_number(asked.get("below", "")),
        limit=PAGE + 1,
    )


def _ref(text: str, kind: str, name: str) -> str:
    if not text.strip():
        return ""
    try:
        return str(Ref.parse(text.strip()[:MAX_QUERY], kind=kind))
    except ValueError:
        raise BadQuestion(f"`{name}` is a reference like {kind}:default/name, or a name") from None


def _moment(text: str, now: datetime, name: str) -> datetime | None:
    """An ISO date-time with its zone, or how long ago: 2h."""
    if not text:
        return None
    span = _SPAN.fullmatch(text)
    try:
        if span:
            return now - int(span[1]) * _UNITS[span[2]]
        moment = datetime.fromisoformat(text.replace(" ", "+"))
        if moment.tzinfo is not None:
            return moment
    except (ValueError, OverflowError):
        pass
    raise BadQuestion(f"`{name}` is a time like 2026-01-31T12:00:00Z, or a span like 30m, 2h, 7d")


def _number(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise BadQuestion("`below` is the `nextBelow` of an earlier answer")
    return int(text)

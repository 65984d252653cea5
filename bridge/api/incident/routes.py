"""The answer over HTTP: JSON, text, Slack's blocks, and a page that fits a phone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from aiohttp import web

from bridge.answers.faces import as_json, as_slack, as_text
from bridge.answers.identify import LONGEST
from bridge.answers.incident import IncidentAnswer, answer
from bridge.answers.knowledge import Knowledge
from bridge.answers.wording import in_words
from bridge.api.answers import error_response
from bridge.api.keys import CLOCK, LIVE
from bridge.api.rendering import render

KNOWLEDGE: web.AppKey[Callable[[], Knowledge]] = web.AppKey("knowledge")
FORMATS: Final = ("json", "text", "slack")


def routes() -> list[web.RouteDef]:
    """The routes."""
    return [
        web.get("/api/incident", _answer),
        web.get(r"/api/incident/{anything:[\s\S]+}", _answer),
        web.get("/incident", _page),
        web.get(r"/incident/{anything:[\s\S]+}", _page),
    ]


async def _answer(request: web.Request) -> web.StreamResponse:
    """200 for one match or several to choose from, 404 for none; the body says which."""
    asked, form = _asked(request), _format(request)
    wrong = _wrong(asked, form)
    if wrong:
        return error_response(request, 400, "InputError", wrong)
    if request.app[LIVE].report is None:
        message = "no pass has ended yet; /readyz tells when there is something to ask about"
        return error_response(request, 503, "ServiceUnavailableError", message)
    found = answered(request.app, asked)
    status = 200 if found.found.total else 404
    if form == "text":
        return web.Response(text=as_text(in_words(found)), status=status)
    body = as_slack(in_words(found)) if form == "slack" else as_json(found)
    return web.json_response(body, status=status)


def answered(app: web.Application, asked: str) -> IncidentAnswer:
    """The answer from what is known now."""
    return answer(asked, app[KNOWLEDGE](), app[CLOCK]())


def _format(request: web.Request) -> str:
    """What `?format=` says; else text for who asks for plain text, such as curl users."""
    given = request.query.get("format")
    if given is not None:
        return given
    return "text" if request.headers.get("Accept", "").startswith("text/plain") else "json"


def _asked(request: web.Request) -> str:
    """What was asked, as the path's end or as `?q=`."""
    return (request.match_info.get("anything") or request.query.get("q", "")).strip()


def _wrong(asked: str, form: str) -> str:
    """What is wrong with the question; "" when nothing is."""
    if form not in FORMATS:
        return f"`format` is one of {', '.join(FORMATS)}"
    if not 0 < len(asked) <= LONGEST:
        return f"ask with 1 to {LONGEST} characters: a name, a project, an address, an id"
    return ""


async def _page(request: web.Request) -> web.StreamResponse:
    """`GET /incident/…`, or `/incident?q=` from the form."""
    asked = _asked(request)[:LONGEST]
    if not asked or request.app[LIVE].report is None:
        return render(request, "incident.html", asked=asked, words=None, ref="")
    found = answered(request.app, asked)
    status = 404 if not found.found.total else 200
    ref = found.incident.match.ref if found.incident is not None else ""
    words = in_words(found)
    return render(request, "incident.html", status=status, asked=asked, words=words, ref=ref)

"""What teams are told: `/api/ox/notices` for programs, `/notices` for people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from aiohttp import web

from bridge.answers.changes import asked_ref
from bridge.answers.wording import age
from bridge.api import paging
from bridge.api.answers import error_response
from bridge.api.keys import CLOCK
from bridge.api.remediation.book import MOST, RemediationBook
from bridge.api.rendering import MAX_QUERY, render
from bridge.errors import BadQuestion, StoreError
from bridge.model.notices import DeliveryState, NoticeFilter, NoticeKind

ROWS: Final = 200
_SAID: Final = {
    DeliveryState.WAITING: "waits",
    DeliveryState.SENDING: "is being sent",
    DeliveryState.SENT: "was sent",
    DeliveryState.NOBODY: "reached nobody",
    DeliveryState.UNSURE: "may have arrived",
    DeliveryState.OVER: "was over before",
}
_WHAT: Final = {
    NoticeKind.VULNERABILITY: "new vulnerability",
    NoticeKind.OVERDUE: "vulnerability overdue",
    NoticeKind.GATE: "gate broke",
    NoticeKind.INITIATIVE: "initiative is due",
    NoticeKind.WAIVER: "waiver ends",
}


class Notices:
    """The routes over a book."""

    def __init__(self, book: RemediationBook) -> None:
        self._book = book

    def routes(self) -> list[web.RouteDef]:
        """All of them."""
        return [web.get("/api/ox/notices", self._listed), web.get("/notices", self._page)]

    async def _listed(self, request: web.Request) -> web.StreamResponse:
        try:
            limit = paging.number(request.query, "limit", MOST, MOST, 1)
            asked = notice_filter(request.query)
        except BadQuestion as refusal:
            return error_response(request, 400, "InputError", str(refusal))
        found = await self._book.notices(limit, asked)
        return web.json_response({"items": [each.as_json() for each in found]})

    async def _page(self, request: web.Request) -> web.StreamResponse:
        now: datetime = request.app[CLOCK]()
        said = {key: request.query.get(key, "")[:MAX_QUERY] for key in ("team", "state")}
        wrong = away = ""
        try:
            found = await self._book.notices(ROWS, notice_filter(request.query))
            tallies = await self._book.notice_tallies()
        except BadQuestion as refusal:
            found, tallies, wrong = [], [], str(refusal)
        except StoreError as error:
            found, tallies, away = [], [], str(error)
        return render(
            request,
            "notices.html",
            status=400 if wrong else 503 if away else 200,
            said=said,
            wrong=wrong,
            away=away,
            found=found,
            tallies=tallies,
            states=_SAID,
            kinds=_WHAT,
            most=ROWS,
            ago=lambda moment: age(moment, now),
        )


def notice_filter(query: Mapping[str, str]) -> NoticeFilter:
    """What parameters ask for. Raises `BadQuestion`."""
    state = query.get("state", "")
    if state and state not in [each.value for each in DeliveryState]:
        raise BadQuestion(f"`state` is one of {', '.join(DeliveryState)}")
    team = asked_ref(query.get("team", ""), "group", "team")
    return NoticeFilter(team, DeliveryState(state) if state else None)

"""Waivers for those who review them: `/api/ox/waivers` for machines, `/waivers` for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from typing import Final

from aiohttp import web

from bridge.api import paging
from bridge.api.answers import error_response
from bridge.api.keys import CLOCK, SCORES
from bridge.api.rendering import render
from bridge.api.scores.score_query import NOTHING_SCORED
from bridge.api.sheets import sheet
from bridge.errors import BadQuestion
from bridge.model.entities import Json
from bridge.model.scores import CheckResult, CheckState, Rubric, Scoreboard, Waiver

ROWS: Final = 300
SOON: Final = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class GivenWaiver:
    """A waiver that holds for an entity, and the team that is spared by it."""

    result: CheckResult
    waiver: Waiver
    title: str
    team: str
    soon: bool

    def as_json(self) -> dict[str, Json]:
        """The waiver with documented keys."""
        return {
            "entityRef": str(self.result.entity),
            "team": self.team,
            "check": self.result.check,
            "title": self.title,
            "gate": self.result.gate,
            "reason": self.waiver.reason,
            "by": self.waiver.by.value,
            "person": self.waiver.person,
            "expires": self.waiver.expires.isoformat(),
            "soon": self.soon,
        }


def routes() -> list[web.RouteDef]:
    """The routes."""
    return [web.get("/api/ox/waivers", _listed), web.get("/waivers", _page)]


def waivers(board: Scoreboard, rubric: Rubric, today: date) -> list[GivenWaiver]:
    """Every waiver that holds, those that end first before all others."""
    teams = board.teams
    found = []
    for ref, score in board.scores.items():
        for result in score.results:
            waiver = result.waiver
            if result.state is not CheckState.WAIVED or waiver is None:
                continue
            check = rubric.check(result.check)
            title = check.title if check is not None else result.check
            soon = waiver.expires <= today + SOON
            found.append(GivenWaiver(result, waiver, title, teams.get(ref, ""), soon))
    return sorted(found, key=lambda g: (g.waiver.expires, g.result.entity, g.result.check))


def _asked(request: web.Request) -> list[GivenWaiver] | None:
    """The waivers that a request asks for; None when nothing was scored yet."""
    scores = request.app[SCORES]
    if scores.board is None:
        return None
    found = waivers(scores.board, scores.rubric, request.app[CLOCK]().astimezone(UTC).date())
    return [each for each in found if _wanted(each, request.query)]


def _wanted(given: GivenWaiver, query: Mapping[str, str]) -> bool:
    text = query.get("q", "")[:200].lower()
    if query.get("soon") == "true" and not given.soon:
        return False
    said = (given.team, given.result.entity, given.result.check, given.waiver.person)
    return not text or any(text in str(each).lower() for each in said)


async def _listed(request: web.Request) -> web.StreamResponse:
    found = _asked(request)
    if found is None:
        return error_response(request, 503, "ServiceUnavailableError", NOTHING_SCORED)
    try:
        page = paging.page(request.query)
    except BadQuestion as refusal:
        return error_response(request, 400, "InputError", str(refusal))
    items = [each.as_json() for each in found[page.offset : page.offset + page.limit]]
    return web.json_response({"items": items, "totalItems": len(found)})


async def _page(request: web.Request) -> web.StreamResponse:
    found, board = _asked(request), request.app[SCORES].board
    if found is None or board is None:
        return render(request, "scores_missing.html", sought="", status=503)
    return render(
        request,
        "waivers.html",
        sheet=sheet(request, found, ROWS),
        soon=sum(each.soon for each in found),
        q=request.query.get("q", "")[:200],
        problems=[each for each in board.problems if each.rule.startswith("waiver-")],
    )

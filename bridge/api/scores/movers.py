"""Who moved most, whatever the rank: `/api/ox/movers/{kind}` and `/movers/{kind}`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from typing import Final

from aiohttp import web

from bridge.api import paging
from bridge.api.answers import error_response
from bridge.api.interfaces import Scores
from bridge.api.keys import CLOCK, SCORES
from bridge.api.rendering import render
from bridge.api.scores import score_query
from bridge.api.scores.score_query import NOTHING_SCORED
from bridge.api.scores.trees import rounded
from bridge.api.sheets import sheet
from bridge.errors import BadQuestion
from bridge.model.entities import Json
from bridge.model.scores import Rollup, RollupKind, Scoreboard

ROWS: Final = 300
SPANS: Final = (30, 90, 365)


@dataclass(frozen=True, slots=True)
class Mover:
    """A roll-up now, and what it was. `points` is None where one of both is not known."""

    now: Rollup
    before: Rollup | None

    @property
    def points(self) -> float | None:
        """How far its score moved."""
        if self.before is None or self.before.value is None or self.now.value is None:
            return None
        return self.now.value - self.before.value

    def as_json(self) -> dict[str, Json]:
        """The movement with documented keys."""
        before = self.before
        return {
            "name": self.now.name,
            "points": rounded(self.points),
            "score": rounded(self.now.value),
            "before": rounded(before.value) if before is not None else None,
            "services": self.now.services,
            "servicesBefore": before.services if before is not None else None,
        }


def routes() -> list[web.RouteDef]:
    """The routes."""
    return [web.get("/api/ox/movers/{kind}", _listed), web.get("/movers/{kind}", _page)]


def movers(board: Scoreboard, kind: RollupKind, before: Mapping[str, Rollup]) -> list[Mover]:
    """Roll-ups of a kind: who gained most first, and whose movement is not known last."""
    found = [Mover(each, before.get(each.name)) for each in board.rollups if each.kind is kind]
    return sorted(found, key=lambda m: (m.points is None, -(m.points or 0.0), m.now.name))


async def _found(
    request: web.Request, scores: Scores, board: Scoreboard
) -> tuple[str, int, date, list[Mover]]:
    """Kind, days, the day compared with, and who moved. Raises `BadQuestion`, `StoreError`."""
    kind = score_query.rollup_kind(request.match_info["kind"])
    text = request.query.get("days", "30")
    days = next((each for each in SPANS if str(each) == text), None)
    if days is None:
        raise BadQuestion(f"`days` is one of {', '.join(map(str, SPANS))}")
    since = request.app[CLOCK]().astimezone(UTC).date() - timedelta(days=days)
    return kind, days, since, movers(board, kind, await scores.rollups_on(kind, since))


async def _listed(request: web.Request) -> web.StreamResponse:
    scores = request.app[SCORES]
    if scores.board is None:
        return error_response(request, 503, "ServiceUnavailableError", NOTHING_SCORED)
    try:
        kind, _, since, found = await _found(request, scores, scores.board)
        page = paging.page(request.query)
    except BadQuestion as refusal:
        return error_response(request, 400, "InputError", str(refusal))
    items = [each.as_json() for each in found[page.offset : page.offset + page.limit]]
    tree = {"kind": kind, "since": since.isoformat(), "items": items, "totalItems": len(found)}
    return web.json_response(tree)


async def _page(request: web.Request) -> web.StreamResponse:
    scores = request.app[SCORES]
    if scores.board is None:
        return render(request, "scores_missing.html", sought="", status=503)
    try:
        kind, days, since, found = await _found(request, scores, scores.board)
    except BadQuestion as refusal:
        return render(request, "scores_missing.html", sought=str(refusal), status=404)
    return render(
        request,
        "movers.html",
        kind=kind,
        days=days,
        since=since,
        sheet=sheet(request, found, ROWS),
    )

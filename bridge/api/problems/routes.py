"""What is wrong: `GET /api/problems` for programs, `/problems` for people and their bookmarks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web

from bridge.api import paging
from bridge.api.answers import error_response
from bridge.api.keys import CLOCK, LIVE
from bridge.api.problems.asked import (
    NOBODY,
    Owned,
    ProblemFilter,
    Sorts,
    question,
    sorts,
)
from bridge.api.problems.owned import owned
from bridge.api.rendering import MAX_QUERY, render
from bridge.api.scores.plots import Plot, Point, plot
from bridge.api.sheets import sheet
from bridge.errors import BadQuestion, StoreError
from bridge.model.census import Census
from bridge.model.entities import Json
from bridge.model.runs import problem_json

SHOWN: Final = 100  # rows of a sheet
SPAN: Final = timedelta(days=90)
_ASKED: Final = ("team", "project", "source", "kind", "severity")


def routes() -> list[web.RouteDef]:
    """The routes."""
    return [web.get("/api/problems", _listed), web.get("/problems", _page)]


async def _listed(request: web.Request) -> web.StreamResponse:
    try:
        asked, page = question(request.query), paging.page(request.query)
    except BadQuestion as refusal:
        return error_response(request, 400, "InputError", str(refusal))
    found = [each for each in await owned(request) if asked.fits(each)]
    items = [_json(each) for each in found[page.offset : page.offset + page.limit]]
    counts = dict(sorts(found).severities)
    return web.json_response({"items": items, "totalItems": len(found), "counts": counts})


async def _page(request: web.Request) -> web.StreamResponse:
    said = {key: request.query.get(key, "")[:MAX_QUERY] for key in _ASKED}
    everything = await owned(request)
    try:
        asked, wrong, status = question(request.query), "", 200
    except BadQuestion as refusal:
        asked, wrong, status = ProblemFilter(), str(refusal), 400
    found = [] if wrong else [each for each in everything if asked.fits(each)]
    return render(
        request,
        "problems.html",
        status=status,
        said=said,
        chosen=NOBODY if asked.team == "" else asked.team or "",
        wrong=wrong,
        rows=sheet(request, found, SHOWN),
        counts=sorts(found).severities,
        choices=_choices(everything, asked),
        **await _counted(request, asked),
        link=lambda **changes: _link(said, changes),
    )


async def _counted(request: web.Request, asked: ProblemFilter) -> dict[str, Any]:
    """What full passes counted; the page says the rest without it, also while the store is away."""
    live, today = request.app[LIVE], request.app[CLOCK]().astimezone(UTC).date()
    try:
        censuses = await live.censuses(today - SPAN)
        last = censuses[-1] if censuses else await live.last_census()
    except StoreError as error:
        return {"plot": None, "last": None, "away": str(error)}
    return {"plot": _trend(censuses, asked, today), "last": last, "away": ""}


def _choices(everything: Sequence[Owned], asked: ProblemFilter) -> Sorts:
    """What each filter offers: how many there are while the other filters stay as they are."""

    def of(**free: str | None) -> Sorts:
        asks = {"team": asked.team, "project": asked.project} | {
            "kind": asked.kind,
            "severity": asked.severity,
            "source": asked.source,
        }
        wider = ProblemFilter(**{**asks, **free})  # type: ignore[arg-type]
        return sorts([each for each in everything if wider.fits(each)])

    teams = {team or NOBODY: count for team, count in of(team=None).teams.items()}
    return Sorts(of(severity="").severities, of(kind="").kinds, teams)


def _trend(censuses: Sequence[Census], asked: ProblemFilter, today: date) -> Plot | None:
    """The count of what is asked for, after each day's last full pass; None if it is not kept."""
    if not censuses or asked.project or asked.source is not None:
        return None
    counts = [
        (each.at.date(), each.count(rule=asked.kind, team=asked.team, severity=asked.severity))
        for each in censuses
    ]
    points = [Point(day, float(count)) for day, count in counts if count is not None]
    if not points:
        return None
    most = max(point.value or 0 for point in points)
    return plot(points, today - SPAN, today, top=_round_up(most))


def _round_up(most: float) -> int:
    """An even number above all counts, for a scale with a middle."""
    step = 10 if most > 20 else 2
    return max(step, int(-(-most // step) * step))


def _link(said: dict[str, str], changes: dict[str, str]) -> str:
    """The address of the same page with some filters changed."""
    kept = {key: value for key, value in {**said, **changes}.items() if value}
    return f"/problems?{urlencode(kept)}" if kept else "/problems"


def _json(each: Owned) -> dict[str, Json]:
    return {**problem_json(each.problem), "team": each.team or None}

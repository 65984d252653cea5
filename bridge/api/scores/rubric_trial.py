"""What the rubric that is proposed would move: `/api/ox/rubric/next`, and a page for people."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from bridge.api.answers import error_response
from bridge.api.keys import FACTS, LIVE, SCORES
from bridge.api.rendering import render
from bridge.api.scores.score_query import NOTHING_SCORED
from bridge.api.sheets import sheet
from bridge.errors import ConfigurationError
from bridge.model.problems import Problem
from bridge.model.rubric_trials import RubricTrial, level_of, shown

ROWS = 300
NONE_PROPOSED = "no rubric is proposed: put one as rubric.next.yaml beside rubric.yaml"


def routes() -> list[web.RouteDef]:
    """The routes; they come before those that take any kind of roll-up."""
    return [
        web.get("/api/ox/rubric/next", _next),
        web.get("/scores/rubric/next", _page),
    ]


async def _trial(request: web.Request) -> RubricTrial | None:
    """The trial; None where no rubric is proposed. Raises HTTP 503 before the first pass."""
    scores = request.app[SCORES]
    if scores.board is None:
        raise web.HTTPServiceUnavailable(text=NOTHING_SCORED)
    known = await request.app[LIVE].known()
    return await scores.proposed(known.catalog.entities, request.app[FACTS].board.latest)


async def _next(request: web.Request) -> web.StreamResponse:
    try:
        trial = await _trial(request)
    except ConfigurationError as error:
        return error_response(request, 409, "ConflictError", str(error))
    if trial is None:
        return error_response(request, 404, "NotFoundError", NONE_PROPOSED)
    return web.json_response(trial.as_json())


async def _page(request: web.Request) -> web.StreamResponse:
    problems: Sequence[Problem] = ()
    try:
        trial = await _trial(request)
    except ConfigurationError as error:
        trial, problems = None, error.problems
    return render(
        request,
        "rubric_next.html",
        status=404 if trial is None else 200,
        trial=trial,
        problems=problems,
        advice=NONE_PROPOSED,
        sheet=sheet(request, trial.services if trial is not None else (), ROWS),
        shown=shown,
        level_of=level_of,
    )

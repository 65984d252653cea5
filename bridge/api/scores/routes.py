"""`/api/ox/…`: scores, roll-ups, trends, what changed, and the rubric."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, date

from aiohttp import web

from bridge.api import paging
from bridge.api.access import Handler
from bridge.api.answers import error_response
from bridge.api.interfaces import Scores
from bridge.api.keys import CLOCK, SCORES
from bridge.api.scores import score_query
from bridge.api.scores.score_query import NOTHING_SCORED
from bridge.api.scores.trees import (
    board_json,
    change_json,
    changed,
    rollup_json,
    rollup_trend_json,
    rubric_json,
    score_json,
    summary_json,
    trend_json,
)
from bridge.errors import BadQuestion
from bridge.model.entities import Ref
from bridge.model.runs import problem_json
from bridge.model.scores import RollupKind, Scoreboard

WithBoard = Callable[[web.Request, Scores, Scoreboard], Awaitable[web.StreamResponse]]


def routes() -> list[web.RouteDef]:
    """The routes."""
    return [
        web.get("/api/ox/scores", _asked(_scores)),
        web.get("/api/ox/scores/{ref:.+}", _asked(_score)),
        web.get("/api/ox/rollups/{kind}", _asked(_rollups)),
        web.get("/api/ox/rollups/{kind}/{name:.+}", _asked(_rollup)),
        web.get("/api/ox/trends/entity/{ref:.+}", _asked(_trend)),
        web.get("/api/ox/trends/{kind}/{name:.+}", _asked(_rollup_trend)),
        web.get("/api/ox/changes/entity/{ref:.+}", _asked(_changes)),
        web.get("/api/ox/changes/{kind}/{name:.+}", _asked(_rollup_changes)),
        web.get("/api/ox/rubric", _rubric),
    ]


def _asked(handler: WithBoard) -> Handler:
    """A handler that has a board to look at, and whose refusals are answers."""

    async def handle(request: web.Request) -> web.StreamResponse:
        scores = request.app[SCORES]
        if scores.board is None:
            return error_response(request, 503, "ServiceUnavailableError", NOTHING_SCORED)
        try:
            return await handler(request, scores, scores.board)
        except BadQuestion as refusal:
            return error_response(request, 400, "InputError", str(refusal))

    return handle


async def _scores(request: web.Request, _: Scores, board: Scoreboard) -> web.StreamResponse:
    page = paging.page(request.query)
    found = score_query.selected(board, request.query)
    items = [summary_json(each) for each in found[page.offset : page.offset + page.limit]]
    return web.json_response({**board_json(board), "items": items, "totalItems": len(found)})


async def _score(request: web.Request, scores: Scores, board: Scoreboard) -> web.StreamResponse:
    ref = score_query.entity(request.match_info["ref"])
    score = board.scores.get(ref)
    if score is None:
        return _no_score(request, ref)
    return web.json_response(score_json(score, scores.rubric))


def _no_score(request: web.Request, ref: Ref) -> web.Response:
    message = f"{ref} has no score; /api/ox/scores lists those that have one"
    return error_response(request, 404, "NotFoundError", message)


async def _rollups(request: web.Request, _: Scores, board: Scoreboard) -> web.StreamResponse:
    kind, page = (
        score_query.rollup_kind(request.match_info["kind"]),
        paging.page(request.query),
    )
    found = [each for each in board.rollups if each.kind is kind]
    items = [rollup_json(each) for each in found[page.offset : page.offset + page.limit]]
    return web.json_response({**board_json(board), "items": items, "totalItems": len(found)})


async def _rollup(request: web.Request, _: Scores, board: Scoreboard) -> web.StreamResponse:
    kind, page = (
        score_query.rollup_kind(request.match_info["kind"]),
        paging.page(request.query),
    )
    rollup = board.rollup(kind, request.match_info["name"])
    if rollup is None:
        return _no_rollup(request, kind)
    members = rollup.members[page.offset : page.offset + page.limit]
    items = [summary_json(board.scores[ref]) for ref in members]
    return web.json_response(
        {
            **rollup_json(rollup),
            "at": board.at.isoformat(),
            "rubric": board.rubric,
            "items": items,
            "totalItems": len(rollup.members),
        }
    )


def _no_rollup(request: web.Request, kind: RollupKind) -> web.Response:
    message = f"there is no such {kind}; /api/ox/rollups/{kind} lists them"
    return error_response(request, 404, "NotFoundError", message)


async def _trend(request: web.Request, scores: Scores, board: Scoreboard) -> web.StreamResponse:
    ref = score_query.entity(request.match_info["ref"])
    start, end = score_query.span(request.query, _today(request))
    days = await scores.trend(ref, start, end)
    if not days and ref not in board.scores:
        return _no_score(request, ref)
    tree = {"entityRef": str(ref), "from": start.isoformat(), "to": end.isoformat()}
    return web.json_response({**tree, "days": trend_json(days, start)})


async def _rollup_trend(
    request: web.Request, scores: Scores, board: Scoreboard
) -> web.StreamResponse:
    kind = score_query.rollup_kind(request.match_info["kind"])
    name = score_query.rollup_name(board, kind, request.match_info["name"])
    start, end = score_query.span(request.query, _today(request))
    days = await scores.rollup_trend(kind, name, start, end)
    if not days and board.rollup(kind, name) is None:
        return _no_rollup(request, kind)
    tree = {"kind": kind, "name": name, "from": start.isoformat(), "to": end.isoformat()}
    return web.json_response({**tree, "days": rollup_trend_json(days, start)})


async def _changes(request: web.Request, scores: Scores, board: Scoreboard) -> web.StreamResponse:
    ref = score_query.entity(request.match_info["ref"])
    start, end = score_query.span(request.query, _today(request))
    (change,) = await scores.changes([ref], start, end)
    if change.before is None and change.after is None and ref not in board.scores:
        return _no_score(request, ref)
    tree = {"from": start.isoformat(), "to": end.isoformat()}
    return web.json_response({**tree, **change_json(change)})


async def _rollup_changes(
    request: web.Request, scores: Scores, board: Scoreboard
) -> web.StreamResponse:
    """What changed for the services that belong to it now."""
    kind = score_query.rollup_kind(request.match_info["kind"])
    name = score_query.rollup_name(board, kind, request.match_info["name"])
    start, end = score_query.span(request.query, _today(request))
    page = paging.page(request.query)
    rollup = board.rollup(kind, name)
    if rollup is None:
        return _no_rollup(request, kind)
    found = changed(await scores.changes(rollup.members, start, end))
    items = [change_json(each) for each in found[page.offset : page.offset + page.limit]]
    tree = {"kind": kind, "name": name, "from": start.isoformat(), "to": end.isoformat()}
    return web.json_response({**tree, "items": items, "totalItems": len(found)})


async def _rubric(request: web.Request) -> web.StreamResponse:
    scores = request.app[SCORES]
    if not scores.rubric.checks:
        return error_response(request, 503, "ServiceUnavailableError", "nothing is scored here")
    problems = [problem_json(problem) for problem in scores.problems]
    return web.json_response({**rubric_json(scores.rubric), "problems": problems})


def _today(request: web.Request) -> date:
    return request.app[CLOCK]().astimezone(UTC).date()

"""Scorecards for people: a service, a team, the whole organization. They need no script."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta

from aiohttp import web

from bridge.api.access import Handler
from bridge.api.interfaces import Scores
from bridge.api.keys import CLOCK, REMEDIED, SCORES
from bridge.api.memo import OF_BOARD
from bridge.api.rendering import render
from bridge.api.scores import score_query
from bridge.api.scores.plots import Point, plot
from bridge.api.scores.trees import changed
from bridge.api.sheets import sheet
from bridge.errors import BadQuestion
from bridge.model.entities import Ref
from bridge.model.scores import (
    ORGANIZATION,
    Check,
    CheckResult,
    Rollup,
    RollupKind,
    Rubric,
    Score,
    Scoreboard,
    ScoreChange,
)

SHOWN = 100  # rows of a sheet
COMPARED = 500  # services whose changes a page tells; the API tells them of more
SPANS = {"30": 30, "90": 90, "365": 365}

Shown = Callable[[web.Request, Scores, Scoreboard], Awaitable[web.StreamResponse]]


def routes() -> list[web.RouteDef]:
    """The pages."""
    return [
        web.get("/scores", _shown(_organization)),
        web.get("/scores/entity/{ref:.+}", _shown(_entity)),
        web.get("/scores/{kind}", _shown(_list)),
        web.get("/scores/{kind}/{name:.+}", _shown(_group)),
    ]


@dataclass(frozen=True, slots=True)
class Line:
    """One check of a scorecard."""

    result: CheckResult
    check: Check | None


def _shown(page: Shown) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        scores = request.app[SCORES]
        if scores.board is None:
            return render(request, "scores_missing.html", sought="", status=503)
        try:
            return await page(request, scores, scores.board)
        except BadQuestion as refusal:
            return render(request, "scores_missing.html", sought=str(refusal), status=404)

    return handle


async def _entity(request: web.Request, scores: Scores, board: Scoreboard) -> web.StreamResponse:
    ref = score_query.entity(request.match_info["ref"])
    score, rubric = board.scores.get(ref), scores.rubric
    if score is None:
        raise BadQuestion(f"{ref} has no score")
    start, end, days = _span(request)
    trend = await scores.trend(ref, start, end)
    points = [Point(each.day, each.value if each.sufficient else None) for each in trend]
    (change,) = await scores.changes([ref], start, end)
    return render(
        request,
        "scorecard.html",
        score=score,
        board=board,
        rubric=rubric,
        fixes=[(fix, rubric.check(fix.result.check)) for fix in score.fixes()],
        categories=_categories(score, rubric),
        belongs=_belongs(board, ref),
        plot=plot(points, start, end, score.target),
        change=change,
        days=days,
        remedies=await request.app[REMEDIED](ref),
    )


def _categories(score: Score, rubric: Rubric) -> list[tuple[str, list[Line]]]:
    """The checks under their categories, in the rubric's order."""
    lines = [Line(result, rubric.check(result.check)) for result in score.results]
    titles = {**rubric.categories, "": "Other"}
    grouped = (
        (title, [line for line in lines if (line.check.category if line.check else "") == key])
        for key, title in titles.items()
    )
    return [(title, found) for title, found in grouped if found]


def _belongs(board: Scoreboard, ref: Ref) -> list[Rollup]:
    return [
        rollup
        for rollup in board.rollups
        if rollup.kind is not RollupKind.ORGANIZATION and ref in rollup.members
    ]


async def _organization(
    request: web.Request, scores: Scores, board: Scoreboard
) -> web.StreamResponse:
    rollup = board.rollup(RollupKind.ORGANIZATION, ORGANIZATION)
    if rollup is None:
        raise BadQuestion("there are no services yet")
    return await _rollup_page(request, scores, board, rollup)


async def _list(request: web.Request, scores: Scores, board: Scoreboard) -> web.StreamResponse:
    kind = score_query.rollup_kind(request.match_info["kind"])
    if kind is RollupKind.ORGANIZATION:
        raise web.HTTPFound("/scores")
    found = [each for each in board.rollups if each.kind is kind]
    found.sort(key=lambda each: (each.value is None, each.value or 0.0, each.name))
    return render(
        request,
        "rollups.html",
        kind=kind,
        rollups=sheet(request, found, SHOWN),
        board=board,
    )


async def _group(request: web.Request, scores: Scores, board: Scoreboard) -> web.StreamResponse:
    kind, name = score_query.rollup_kind(request.match_info["kind"]), request.match_info["name"]
    rollup = board.rollup(kind, name)
    if rollup is None:
        raise BadQuestion(f"there is no {kind} {name[:80]} with a service")
    return await _rollup_page(request, scores, board, rollup)


async def _rollup_page(
    request: web.Request, scores: Scores, board: Scoreboard, rollup: Rollup
) -> web.StreamResponse:
    start, end, days = _span(request)
    trend = await scores.rollup_trend(rollup.kind, rollup.name, start, end)
    points = [Point(each.day, None if each.gone else each.rollup.value) for each in trend]
    text = request.query.get("q", "")[:200]
    key = rollup.kind, rollup.name, text.lower()
    members, worst, unseen = await request.app[OF_BOARD].get(
        board, key, lambda: _summary(board, rollup, text.lower(), scores.rubric)
    )
    changes: Sequence[ScoreChange] = ()
    if len(rollup.members) <= COMPARED:
        changes = changed(await scores.changes(rollup.members, start, end))
    return render(
        request,
        "scores.html",
        rollup=rollup,
        board=board,
        rubric=scores.rubric,
        problems=[*scores.problems, *(board.problems if _whole(rollup) else ())],
        members=sheet(request, members, SHOWN),
        q=text,
        worst=worst,
        unseen=unseen,
        teams=_teams(board) if _whole(rollup) else [],
        plot=plot(points, start, end),
        moved=[each for each in changes if each.before and each.after][:20],
        came=sum(each.before is None for each in changes),
        days=days,
    )


def _summary(
    board: Scoreboard, rollup: Rollup, text: str, rubric: Rubric
) -> tuple[list[Score], list[tuple[Check, int, float]], list[tuple[Check, int, str]]]:
    """The members whose names hold a text, the lowest first, and what most of them lack."""
    members = [board.scores[ref] for ref in rollup.members if text in str(ref)]
    members.sort(key=lambda score: (not score.sufficient, score.value or 0.0, score.entity))
    return members, _worst(members, rubric), _unseen(members, rubric)


def _whole(rollup: Rollup) -> bool:
    return rollup.kind is RollupKind.ORGANIZATION


def _teams(board: Scoreboard) -> list[Rollup]:
    found = [each for each in board.rollups if each.kind is RollupKind.TEAM]
    found.sort(key=lambda each: (each.value is None, each.value or 0.0, each.name))
    return found[:10]


def _worst(scores: Sequence[Score], rubric: Rubric) -> list[tuple[Check, int, float]]:
    """The checks that most would gain by: how many services fail, and points of the mean."""
    fails: dict[str, int] = {}
    points: dict[str, float] = {}
    for score in scores:
        for fix in score.fixes():
            fails[fix.result.check] = fails.get(fix.result.check, 0) + 1
            gained = fix.points if score.sufficient else 0.0
            points[fix.result.check] = points.get(fix.result.check, 0.0) + gained
    counted = max(sum(score.sufficient for score in scores), 1)
    found = [
        (check, fails[check.id], points[check.id] / counted)
        for check in rubric.checks
        if check.id in fails
    ]
    return sorted(found, key=lambda each: (-each[2], -each[1], each[0].id))[:10]


def _unseen(scores: Sequence[Score], rubric: Rubric) -> list[tuple[Check, int, str]]:
    """The checks of which most is not known: of how many services, and why with one of them."""
    counts: Counter[str] = Counter()
    reasons: dict[str, str] = {}
    for score in scores:
        for result in score.unseen:
            counts[result.check] += 1
            reasons.setdefault(result.check, result.reason)
    known = ((rubric.check(name), count) for name, count in counts.most_common(10))
    return [(check, count, reasons[check.id]) for check, count in known if check is not None]


def _span(request: web.Request) -> tuple[date, date, int]:
    days = SPANS.get(request.query.get("days", ""), 90)
    end = request.app[CLOCK]().astimezone(UTC).date()
    return end - timedelta(days=days), end, days

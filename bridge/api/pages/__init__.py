"""Pages for people: what the last pass gave, the entities, and why something is missing."""

from __future__ import annotations

import asyncio

from aiohttp import web

from bridge.answers.changes import with_history
from bridge.api.keys import LIVE
from bridge.api.live import Live
from bridge.api.rendering import MAX_QUERY, render
from bridge.errors import StoreError
from bridge.model.census import Census
from bridge.model.problems import Severity
from bridge.model.work import SweepProgress
from bridge.passes.explain import Explanation, explain

WORST = 50  # problems on the first page


async def home(request: web.Request) -> web.StreamResponse:
    """`GET /`: the last pass in numbers, and the worst problems."""
    live = request.app[LIVE]
    report = live.report
    problems = report.problems if report else ()
    order = {severity: rank for rank, severity in enumerate(Severity)}
    ranked = sorted(problems, key=lambda problem: order[problem.severity])
    counts = {s.value: sum(p.severity is s for p in problems) for s in Severity}
    last, sweeps = await _last_census(live), await _sweeps(live)
    return render(
        request, "home.html", problems=ranked[:WORST], counts=counts, last=last, sweeps=sweeps
    )


async def _sweeps(live: Live) -> list[SweepProgress]:
    """The sweeps that several processes read now, or could not read whole."""
    try:
        return [each for each in await live.sweeps() if each.left or each.failed]
    except StoreError:
        return []


async def _last_census(live: Live) -> Census | None:
    """The figures of the last full pass; None also while the store is away."""
    try:
        return await live.last_census()
    except StoreError:
        return None


async def explained(live: Live, asked: str) -> Explanation | None:
    """Why something is as it is; None before the first pass. Raises `StoreError`."""
    known = await live.known()
    if known.record is None:
        return None
    answer = await asyncio.to_thread(explain, asked, known.memory, known.record, live.source)
    return await with_history(answer, live.changes)


async def explain_page(request: web.Request) -> web.StreamResponse:
    """`GET /explain?ref=`: why an entity is as it is, or why it is missing."""
    live = request.app[LIVE]
    asked = request.query.get("ref", "").strip()[:MAX_QUERY]
    answer = await explained(live, asked) if asked else None
    return render(request, "explain.html", asked=asked, answer=answer)

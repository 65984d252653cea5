"""`/healthz` and `/readyz`: whether this process should go on, and whether to ask it."""

from __future__ import annotations

from aiohttp import web

from bridge.api.access import needs
from bridge.api.keys import LIVE
from bridge.api.live import Live
from bridge.model.access import Scope
from bridge.model.entities import Json
from bridge.model.moments import iso
from bridge.model.numbers import FIRST_CALLED


@needs(Scope.PUBLIC)
async def healthz(request: web.Request) -> web.StreamResponse:
    """Whether this process should go on: 503 when a part of it has come to a stop."""
    hanging = _hanging(request.app[LIVE])
    if hanging:
        return web.json_response({"status": "hangs", "hanging": hanging}, status=503)
    return web.json_response({"status": "ok"})


def _hanging(live: Live) -> dict[str, int]:
    """What does not move, and for how many seconds it is overdue."""
    return {part: round(seconds) for part, seconds in live.hanging().items()}


@needs(Scope.PUBLIC)
async def readyz(request: web.Request) -> web.StreamResponse:
    """Whether a catalog is served, how far its sources are, and who makes the passes."""
    live = request.app[LIVE]
    since = live.served_since.isoformat(timespec="seconds") if live.served_since else None
    hanging = _hanging(live)
    status = "hangs" if hanging else "ready" if live.ready else "waiting for the first pass"
    body: dict[str, Json] = {"status": status, "since": since, "role": live.role.value}
    if hanging:
        body["hanging"] = hanging
    if live.store_away_since is not None:
        body["store_away_since"] = live.store_away_since.isoformat(timespec="seconds")
    if live.several:
        body["sources"] = {
            name or FIRST_CALLED: each.as_json() for name, each in live.sources.items()
        }
    report = live.report
    if report is not None:
        body["last_pass"] = {
            "outcome": report.outcome.value,
            "kind": report.kind.value,
            "started_at": iso(report.started_at),
        }
    return web.json_response(body, status=200 if live.ready and not hanging else 503)

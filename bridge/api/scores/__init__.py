"""Scores over HTTP: `/api/ox/…` for machines, `/scores…` for people."""

from __future__ import annotations

from aiohttp import web

from bridge.api.scores import badge, movers, pages, rubric_trial, vulnerabilities, waivers
from bridge.api.scores import routes as answers


def routes() -> list[web.RouteDef]:
    """The routes of both."""
    more = (
        *waivers.routes(),
        *movers.routes(),
        *badge.routes(),
        *vulnerabilities.routes(),
    )
    return [*rubric_trial.routes(), *answers.routes(), *pages.routes(), *more]

"""Scores over HTTP: `/api/ox/…` for machines, `/scores…` for people."""

from __future__ import annotations

from aiohttp import web

from bridge.api.scores import pages
from bridge.api.scores import routes as answers


def routes() -> list[web.RouteDef]:
    """The routes of both."""
    return [*answers.routes(), *pages.routes()]

"""Scores over HTTP: `/api/ox/…` for machines, `/scores…` for people."""

from __future__ import annotations

from aiohttp import web

from bridge.api.scores import pages, rubric_trial
from bridge.api.scores import routes as answers


def routes() -> list[web.RouteDef]:
    """The routes of both."""
    return [*rubric_trial.routes(), *answers.routes(), *pages.routes()]

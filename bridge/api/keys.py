"""The application's typed keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeAlias

from aiohttp import web

from bridge.api.interfaces import FactBook, Scores
from bridge.api.live import Live
from bridge.model.entities import Json, Ref

# The rules that an entity breaks, as sentences; any JSON object goes in.
Validate: TypeAlias = Callable[[Json], Sequence[str]]

LIVE = web.AppKey("live", Live)
HOOK_COUNTS: web.AppKey[Counter[str]] = web.AppKey("hook_counts")
CLOCK: web.AppKey[Callable[[], datetime]] = web.AppKey("clock")
VALIDATE: web.AppKey[Validate] = web.AppKey("validate")
# What is known of remediation about one entity, as `/api/ox/remediations` tells it.
# What is planned for Snyk's projects of archived repositories.
DEACTIVATIONS: web.AppKey[Callable[[], Awaitable[list[dict[str, Json]]]]] = web.AppKey(
    "deactivations"
)
REMEDIED: web.AppKey[Callable[[Ref], Awaitable[list[dict[str, Json]]]]] = web.AppKey("remedied")
FACTS: web.AppKey[FactBook] = web.AppKey("facts")
SCORES: web.AppKey[Scores] = web.AppKey("scores")

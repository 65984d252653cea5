"""The application's typed keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime

from aiohttp import web

from bridge.api.live import Live

LIVE = web.AppKey("live", Live)
HOOK_COUNTS: web.AppKey[Counter[str]] = web.AppKey("hook_counts")
CLOCK: web.AppKey[Callable[[], datetime]] = web.AppKey("clock")

"""The application's typed keys."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from aiohttp import web

from bridge.api.live import Live

LIVE = web.AppKey("live", Live)
CLOCK: web.AppKey[Callable[[], datetime]] = web.AppKey("clock")

"""Somebody who is told what changed: takes signed messages, where it takes any."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

from aiohttp import web

from bridge.neighbours.signed_webhook import signature

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()


class Inbox:
    """Takes messages while it is `open`, and says when one came.

    While it is not it refuses them, or with `hangs` keeps whoever sends one waiting, until it
    has `ended`.
    """

    def __init__(self, *, opened: bool = True, hangs: bool = False) -> None:
        self.open = opened
        self.hangs = hangs
        self.ended = asyncio.Event()
        self.came: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()

    async def receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        names = (request.headers["webhook-id"], request.headers["webhook-timestamp"])
        assert request.headers["webhook-signature"] == signature(KEY, *names, body)
        self.came.put_nowait((names[0], json.loads(body)))
        if not self.open and self.hangs:
            await self.ended.wait()
        return web.Response(status=204 if self.open else 503)

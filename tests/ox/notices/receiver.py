"""A Slack-compatible receiver, for the tests of notices."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Receiver:
    """Takes messages; `statuses` are its next answers, 0 hangs up after it took one."""

    statuses: list[int] = field(default_factory=list)
    got: list[Any] = field(default_factory=list)
    url: str = ""

    async def take(self, request: web.Request) -> web.Response:
        status = self.statuses.pop(0) if self.statuses else 200
        if status in (0, 200, 502):
            self.got.append(await request.json())
        if status == 0 and request.transport is not None:
            request.transport.abort()
        return web.Response(status=status or 200, text="ok")

    def lines(self) -> list[str]:
        """Each line that stood in a message."""
        blocks = (block["text"]["text"] for message in self.got for block in message["blocks"])
        return [line for text in blocks for line in text.splitlines() if line.startswith("•")]


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """One on loopback."""
    made = Receiver()
    app = web.Application()
    app.router.add_post("/secret-path", made.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/secret-path"
    try:
        yield made
    finally:
        await runner.cleanup()

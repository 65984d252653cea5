"""`fester serve` is killed while a receiver of changes keeps it waiting: nothing is lost by it."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.neighbours.signed_webhook import signature
from tests.service.process import serve

pytestmark = pytest.mark.real

KEY = bytes(range(32))
LONG = 120.0


class Inbox:
    """Keeps every message waiting until it is `open`."""

    def __init__(self) -> None:
        self.open = False
        self.came: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()

    async def receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        names = (request.headers["webhook-id"], request.headers["webhook-timestamp"])
        assert request.headers["webhook-signature"] == signature(KEY, *names, body)
        self.came.put_nowait((names[0], json.loads(body)))
        if not self.open:
            await asyncio.Event().wait()
        return web.Response(status=204)


@pytest.fixture
async def inbox() -> AsyncIterator[tuple[Inbox, str]]:
    made, app = Inbox(), web.Application()
    app.router.add_post("/in", made.receive)
    async with TestServer(app) as server:
        yield made, str(server.make_url("/in"))


def manifest(folder: Path, lifecycle: str) -> None:
    (folder / "shop/cart").mkdir(parents=True, exist_ok=True)
    text = f"version: 1\nservice: {{name: cart, owner: {{team: crew}}, lifecycle: {lifecycle}}}\n"
    (folder / "shop/cart/qm.yaml").write_text(text)


async def test_what_was_on_its_way_when_serve_was_killed_arrives_by_the_same_id(
    tmp_path: Path, inbox: tuple[Inbox, str]
) -> None:
    received, url = inbox
    (tmp_path / "fester.yaml").write_text(
        f"changes: {{receivers: [{{name: audit, url: '{url}'}}]}}\n"
    )
    secret = "whsec_" + base64.b64encode(KEY).decode()
    more = {"FESTER_RECEIVER_SECRET_AUDIT": secret, "FESTER_EVERY": "1s"}
    store = f"sqlite:///{tmp_path}/s.db"
    manifest(tmp_path, "experimental")
    async with asyncio.timeout(LONG):
        async with serve("shop", tmp_path, store, **more) as first:
            await begun(first)
            manifest(tmp_path, "production")
            name, message = await received.came.get()
            first.process.kill()
            await first.process.wait()
        manifest(tmp_path, "deprecated")
        received.open = True
        async with serve("shop", tmp_path, store, **more):
            again, same = await received.came.get()
            _, later = await received.came.get()
    assert (again, same["data"]) == (name, message["data"])
    changes = [*same["data"]["changes"], *later["data"]["changes"]]
    lifecycles = [each["fields"][0]["after"] for each in changes]
    assert lifecycles == ["production", "deprecated"]


async def begun(process: Any) -> None:
    """The receiver has its place in the history: what changes from now on is told."""
    while True:
        _, page = await process.asks("changes/receivers")
        if b"takes what it is sent" in page:
            return
        await asyncio.sleep(0.1)

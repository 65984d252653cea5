"""`fester serve` is killed while a receiver of changes keeps it waiting: nothing is lost by it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.inbox import SECRET, Inbox
from tests.service.process import serve

pytestmark = pytest.mark.real

LONG = 120.0


@pytest.fixture
async def inbox() -> AsyncIterator[tuple[Inbox, str]]:
    made, app = Inbox(opened=False, hangs=True), web.Application()
    app.router.add_post("/in", made.receive)
    async with TestServer(app) as server:
        yield made, str(server.make_url("/in"))
        made.ended.set()  # else the server waits a minute for who waits


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
    more = {"FESTER_RECEIVER_SECRET_AUDIT": SECRET, "FESTER_EVERY": "1s"}
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

"""A receiver of changes beside `fester serve`: told after a pass and across a restart."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import CliRunner, Result

from bridge.cli import main
from bridge.passes.stages import PassOptions
from bridge.settings import Settings, load_settings
from bridge.wiring import wired
from bridge.wiring.serving import serving
from tests.inbox import SECRET, Inbox

MakeServer = Callable[[web.Application], Awaitable[TestServer]]


def manifest(folder: Path, lifecycle: str) -> None:
    (folder / "cart").mkdir(parents=True, exist_ok=True)
    text = f"version: 1\nservice: {{name: cart, owner: {{team: crew}}, lifecycle: {lifecycle}}}\n"
    (folder / "cart/qm.yaml").write_text(text)


async def fester(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, main, [*arguments], catch_exceptions=False)


async def got(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert answer.status == 200
        return await answer.text()


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
async def settings(
    tmp_path: Path, inbox: Inbox, aiohttp_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    app = web.Application()
    app.router.add_post("/in", inbox.receive)
    server = await aiohttp_server(app)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FESTER_RECEIVER_SECRET_AUDIT", SECRET)
    (tmp_path / "fester.yaml").write_text(
        f"from: shop\nto: [out]\nport: 0\n"
        f"changes: {{receivers: [{{name: audit, url: '{server.make_url('/in')}'}}]}}\n"
    )
    manifest(tmp_path / "shop", "experimental")
    return load_settings({})


async def test_a_receiver_is_told_by_who_serves_also_after_a_restart(
    tmp_path: Path, settings: Settings, inbox: Inbox
) -> None:
    """Each start makes a pass; the receiver is away during the second."""
    async with asyncio.timeout(60):
        for lifecycle in ("experimental", "production"):
            manifest(tmp_path / "shop", lifecycle)
            inbox.open = lifecycle == "experimental"
            async with AsyncExitStack() as stack:
                parts = await stack.enter_async_context(wired(settings))
                url = await stack.enter_async_context(serving(parts, settings, PassOptions()))
                if inbox.open:
                    await begun(parts)
                    continue
                first, message = await inbox.came.get()
                assert [each["ref"] for each in message["data"]["changes"]] == [
                    "component:default/cart"
                ]
                await failed(parts)
                page = await got(f"{url}changes/receivers")
                assert "does not take it" in page
                assert "it answered 503" in page
                told = json.loads(await got(f"{url}api/changes/receivers"))["items"]
                assert [each["waiting"] for each in told] == [1]
                assert SECRET not in page
                metrics = await got(f"{url}metrics")
                assert 'fester_receiver_waiting{receiver="audit"} 1.0' in metrics
                assert 'fester_receiver_failing_seconds{receiver="audit"}' in metrics
        looked = await fester("doctor")
        assert "FAIL receiver audit: it took nothing since" in looked.output
        assert "it answered 503" in looked.output
        inbox.open = True
        async with AsyncExitStack() as stack:
            parts = await stack.enter_async_context(wired(settings))
            await stack.enter_async_context(serving(parts, settings, PassOptions()))
            again, _ = await inbox.came.get()
            assert again == first
            await delivered(parts)
        looked = await fester("doctor")
        assert "ok   receiver audit: it was last told just now; 0 changes wait" in looked.output


async def test_a_receiver_is_told_by_single_runs_too(
    tmp_path: Path, settings: Settings, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second run finds it away, the third tells it; a dry run tells nobody."""
    async with asyncio.timeout(60):
        assert (await fester("run")).exit_code == 0
        manifest(tmp_path / "shop", "production")
        inbox.open = False
        away = await fester("run")
        first, _ = await inbox.came.get()
        assert away.exit_code == 0
        assert "receiver audit did not take what changed: it answered 503" in away.output
        await due(settings)
        inbox.open = True
        monkeypatch.delenv("FESTER_RECEIVER_SECRET_AUDIT")
        assert (await fester("run", "--dry-run")).exit_code == 0
        refused = await fester("run")
        assert refused.exit_code == 2
        assert "FESTER_RECEIVER_SECRET_AUDIT is not set" in refused.output
        assert inbox.came.empty()
        monkeypatch.setenv("FESTER_RECEIVER_SECRET_AUDIT", SECRET)
        told = await fester("run")
        again, message = inbox.came.get_nowait()
        assert again == first
        assert [each["ref"] for each in message["data"]["changes"]] == ["component:default/cart"]
        assert "receiver" not in told.output


async def due(settings: Settings) -> None:
    """Make what is tried again later be due now."""
    async with wired(settings) as parts:
        before = await parts.store.receivers.known(parts.source, "audit")
        assert before is not None
        after = replace(before, next_at=None)
        assert await parts.store.receivers.save(parts.source, "audit", before, after)


async def begun(parts: Any) -> None:
    await until(parts, lambda state: state is not None)


async def failed(parts: Any) -> None:
    await until(parts, lambda state: state is not None and state.tries > 0)


async def delivered(parts: Any) -> None:
    await until(parts, lambda state: state is not None and state.delivered_at is not None)


async def until(parts: Any, so: Callable[[Any], bool]) -> None:
    """Wait until the store has a receiver's state so; the test's time-out ends it otherwise."""
    while True:
        if so(await parts.store.receivers.known(parts.source, "audit")):
            return
        await asyncio.sleep(0.02)

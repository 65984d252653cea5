"""Fester serving beside a sandbox GitLab: real hooks in, real files out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

from bridge.api.app import make_app
from bridge.api.live import Live
from bridge.api.parts import AppParts
from bridge.api.webhooks import PATH
from bridge.model.runs import Report
from bridge.passes.stages import Pass, PassOptions
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.hooks import Hooks
from bridge.sandbox.latency import Latency
from bridge.sandbox.world import World
from bridge.service.replica import Service
from bridge.service.schedule import ended
from bridge.settings import Settings
from bridge.wiring import wired
from bridge.wiring.serving import replica_of, webhooks

TOKEN = "sandbox-token"
SECRET = "hook-secret"
LONG = 60.0  # seconds after which a test gives up waiting


def manifest(name: str, team: str = "tide") -> str:
    return f"version: 1\nservice:\n  name: {name}\n  owner: {{team: {team}}}\n"


def a_world(projects: int = 5) -> World:
    """Projects that nobody touched for hours: no incremental pass lists them."""
    world = World(lambda: datetime.now(UTC) - timedelta(hours=3))
    for number in range(1, projects + 1):
        world.add_project(f"shop/p{number}", files={"qm.yaml": manifest(f"s{number}")})
    return world


def settings(url: str, folder: Path, store: str = "", **more: Any) -> Settings:
    return Settings.model_validate(
        {
            "from": url,
            "to": [str(folder / "out")],
            "store": store or f"sqlite:///{folder}/s.db",
            "token": TOKEN,
            "webhook_token": SECRET,
            "every": 3600,
            "lease": 2,
            # What the crawl asks is counted; Ox's pages name the same projects.
            "ox": {"collect": False},
        }
        | more
    )


@dataclass
class Replica:
    """One replica of the service: its passes as they come, and what it serves."""

    service: Service
    live: Live
    hooks_url: str
    reports: list[Report] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def heard(self, account: Callable[[Pass], None], done: Pass) -> None:
        account(done)
        self.reports.append(done.report)
        self._news.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for passes until something holds."""
        async with asyncio.timeout(LONG):
            while not holds():
                await self._news.wait()
                self._news.clear()

    @property
    def names(self) -> set[str]:
        """The components that are served."""
        refs = self.live.index.slots
        return {ref.rpartition("/")[2] for ref in refs if ref.startswith("component:")}


def published(folder: Path) -> set[str]:
    """The components that lie in the published folder."""
    index = folder / "out" / "catalog.json"
    if not index.exists():
        return set()
    parts = [folder / "out" / path for path in json.loads(index.read_text())["shards"]]
    entities = [each for part in parts for each in json.loads(part.read_text())["entities"]]
    return {e["ref"].rpartition("/")[2] for e in entities if e["ref"].startswith("component:")}


@asynccontextmanager
async def a_replica(chosen: Settings, **instead: Any) -> AsyncIterator[Replica]:
    """A replica that runs until the block ends, and then hands over; `instead` of its own parts."""
    async with wired(chosen) as made:
        parts = replace(made, **instead)
        its = replica_of(parts, chosen, PassOptions())
        service, live = its.service, its.live
        runner = web.AppRunner(make_app(live, AppParts(webhooks=webhooks(chosen, service))))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        replica = Replica(service, live, f"http://127.0.0.1:{port}{PATH}")
        service.account = partial(replica.heard, service.account)
        work = asyncio.create_task(service.run())
        try:
            yield replica
        finally:
            await ended(work)
            await service.stop()
            await runner.cleanup()


@asynccontextmanager
async def a_gitlab(
    world: World, latency: Latency | None = None
) -> AsyncIterator[tuple[SandboxGitLab, str]]:
    """A sandbox of `world`, and its address."""
    sandbox = SandboxGitLab(world, token=TOKEN, latency=latency, clock=lambda: datetime.now(UTC))
    async with running(sandbox) as url:
        yield sandbox, url


async def until(holds: Callable[[], Awaitable[bool] | bool]) -> None:
    """Look again and again until something outside this process holds."""
    async with asyncio.timeout(LONG):
        while True:
            found = holds()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.02)


def hooks_to(world: World, replica: Replica, **more: Any) -> Hooks:
    return Hooks(world, replica.hooks_url, token=SECRET, **more)

"""A Fester with facts and checks of the sample organization, from a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web
from pydantic import SecretStr

from bridge.access.gate import BackstageCallers, open_gate
from bridge.api.access import Access
from bridge.api.app import make_app
from bridge.api.live import Live
from bridge.api.parts import AppParts
from bridge.ox.facts.collecting import FactService
from bridge.passes.runner import Passes
from bridge.passes.stages import PassOptions
from bridge.sandbox.app import SandboxGitLab
from bridge.sandbox.app import running as gitlab_running
from bridge.sandbox.organization import sample_organization
from bridge.sandbox.world import World
from bridge.settings import Settings
from bridge.store import FactHistory
from bridge.wiring import Wired, wired
from bridge.wiring.clock import utc_now
from bridge.wiring.ox import collectors

Gave = TypeVar("Gave")


@dataclass
class Insights:
    """Fester's HTTP side at `url`, open to all; and at `guarded`, for those with a token."""

    folder: Path
    backstage: str
    world: World = field(default_factory=lambda: sample_organization(utc_now))
    url: str = ""
    guarded: str = ""
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _ready: threading.Event = field(default_factory=threading.Event)
    _end: asyncio.Event = field(default_factory=asyncio.Event)
    _parts: Wired | None = None
    _facts: FactService | None = None

    def make_pass(self) -> None:
        """One pass, the facts that follow it, and the scores that follow those."""
        self._run(self._pass())

    async def _pass(self) -> None:
        assert self._parts is not None
        assert self._facts is not None
        made = await Passes(self._parts.stages).run(PassOptions())
        done = await made.known()
        await self._facts.after_pass(done.catalog, done.memory, made.observations)
        self._parts.scores.take_catalog(done.catalog)
        await self._parts.scores.evaluate(self._facts.board.latest)

    def _run(self, work: Coroutine[Any, Any, Gave]) -> Gave:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(120)

    async def _serve(self) -> None:
        callers = BackstageCallers(self.backstage, ("asker",), False, ("tech-insights",))
        async with (
            gitlab_running(SandboxGitLab(self.world)) as gitlab,
            wired(self._settings(gitlab)) as self._parts,
            open_gate([], callers, utc_now) as gate,
        ):
            parts = self._parts
            asked = collectors({"": self._settings(gitlab)}, {"": parts.stages.scraper})
            # Every change is kept, as Backstage keeps every reading.
            store = parts.store.facts(FactHistory(interval=1e-6))
            self._facts = FactService(parts.stages.scraper.name, asked, store, utc_now)
            self.url = await self._site(Access())
            self.guarded = await self._site(Access(gate))
            self._ready.set()
            await self._end.wait()
            for collector in asked:
                await collector.close()
            for runner in self._runners:
                await runner.cleanup()

    _runners: list[web.AppRunner] = field(default_factory=list)
    refused: int = 0

    async def _site(self, access: Access) -> str:
        assert self._facts is not None
        assert self._parts is not None
        scores = self._parts.scores
        app = make_app(
            Live(), AppParts(access=access, facts=self._facts, checks=scores, scored=scores)
        )
        app.middlewares.append(self._late)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    @web.middleware
    async def _late(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Fester starts after Backstage has asked for it a first time."""
        if request.path == "/api/ox/fact-retrievers" and self.refused == 0:
            self.refused += 1
            return web.Response(status=503)
        return await handler(request)

    def _settings(self, url: str) -> Settings:
        tree = {"from": url, "store": f"sqlite:///{self.folder}/insights.db"}
        return Settings.model_validate({**tree, "token": SecretStr("sandbox-token")})


@contextmanager
def running(made: Insights) -> Iterator[Insights]:
    """Serve it from a thread, after its first pass."""
    failed: list[BaseException] = []

    def serve() -> None:
        try:
            made._loop.run_until_complete(made._serve())
        except BaseException as error:
            failed.append(error)
        finally:
            made._ready.set()
            made._loop.close()

    thread = threading.Thread(target=serve, name="insights")
    thread.start()
    made._ready.wait()
    try:
        if not failed:
            made.make_pass()
            yield made
    finally:
        if thread.is_alive():
            made._loop.call_soon_threadsafe(made._end.set)
        thread.join()
    if failed:
        raise failed[0]

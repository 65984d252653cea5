"""Fester beside a sandbox GitLab: passes when a test asks, serving on a loopback port."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web
from pydantic import SecretStr

from bridge.api.app import make_app
from bridge.api.feed import Feed
from bridge.api.live import Live
from bridge.api.parts import AppParts
from bridge.exporters.backstage_refresh import Refresher
from bridge.model.definitions import definition_of
from bridge.model.problems import Problem
from bridge.model.runs import Report
from bridge.model.statements import Changes
from bridge.passes.runner import Passes
from bridge.passes.stages import PassOptions
from bridge.passes.view import Known
from bridge.processors.validation import entity_faults
from bridge.sandbox.app import SandboxGitLab
from bridge.sandbox.app import running as gitlab_running
from bridge.sandbox.company import KEEPER
from bridge.sandbox.world import World
from bridge.settings import Settings
from bridge.wiring import Wired, feed, refresher, wired
from bridge.wiring.clock import utc_now

Gave = TypeVar("Gave")


@dataclass
class Site:
    """One Fester with a GitLab of its own. `requests` holds (path, status) of what was asked."""

    world: World
    folder: Path
    prefix: str
    to: tuple[str, ...] = ()
    people: bool = False  # GitLab's groups and their members are read, too
    requests: list[tuple[str, int]] = field(default_factory=list)
    live: Live = field(default_factory=Live)
    host: str = ""
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _parts: Wired | None = None
    _digests: dict[str, str] = field(default_factory=dict)
    _feed: Feed | None = None
    _refresher: Refresher | None = None
    _ready: threading.Event = field(default_factory=threading.Event)
    _end: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def index(self) -> str:
        """The address of the published index."""
        return f"http://{self.host}/catalog/index.yaml"

    def make_pass(self, *, accept_removals: bool = False) -> Report:
        """One pass, published and served; returns its report."""
        return self._run(self._pass(PassOptions(accept_removals=accept_removals)))

    def tell(self, url: str, token: str) -> Problem | None:
        """Tell the Backstage there of what was published since the last time."""
        if self._refresher is None:
            section = {"url": url, "refresh": True}
            settings = Settings.model_validate(
                {"backstage": section, "backstage_token": token, "location_prefix": self.prefix}
            )
            self._refresher = refresher(settings)
        assert self._refresher is not None
        return self._run(self._refresher.tell(self._digests))

    def entities(self) -> dict[str, dict[str, Any]]:
        """What is published now, by reference."""
        known = self._run(self._known())
        return {str(entity.ref): dict(entity.body) for entity in known.catalog.entities}

    def definitions(self) -> dict[str, str]:
        """The texts that APIs lead to, by reference."""
        found = {ref: definition_of(body) for ref, body in self.entities().items()}
        return {ref: self.body(path).decode() for ref, path in found.items() if path is not None}

    def location_of(self, ref: str) -> str:
        """The reference of the Location whose shard holds an entity."""
        return f"location:default/{self.prefix}-{Path(self.shard_of(ref)).stem}"

    def shard_of(self, ref: str) -> str:
        """The path of the shard that holds an entity."""
        name = f"\n  name: {ref.rpartition('/')[2]}\n".encode()
        kind = f"\nkind: {ref.partition(':')[0]}\n".lower().encode()
        return next(
            path
            for path in self.live.files
            if path.startswith("entities/")
            for text in self.body(path).split(b"---\n")
            if name in text and kind in text.lower()
        )

    def body(self, path: str) -> bytes:
        """What a published file holds."""
        served = self._run(self.live.file(path))
        assert served is not None
        return served.body

    async def _known(self) -> Known:
        return await self.live.known()

    def commit(self, path: str, text: str, file: str = "qm.yaml") -> None:
        """Commit a manifest; a project that is not there yet is created."""
        project = self.world.find(path) or self.world.add_project(path)
        self.world.commit_file(project.id, file, text)

    def manifest(self, path: str) -> str:
        """The manifest of a project as it is."""
        project = self.world.find(path)
        assert project is not None
        return project.files["qm.yaml"].content.decode()

    async def _pass(self, wish: PassOptions) -> Report:
        assert self._parts is not None
        assert self._feed is not None
        passes = Passes(self._parts.stages)
        done = await passes.with_problems(await passes.run(wish))
        self._digests = done.digests
        index = await self._feed.index(done.files, Changes(everything=True))
        self.live.take(
            done.report, files=done.files, index=index, horizon=done.horizon, now=utc_now()
        )
        self.live.known = done.known
        return done.report

    def _run(self, work: Coroutine[Any, Any, Gave]) -> Gave:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(120)

    async def _serve(self) -> None:
        sandbox = SandboxGitLab(self.world)
        async with gitlab_running(sandbox) as url, wired(self._settings(url)) as self._parts:
            app = make_app(self.live, AppParts(clock=utc_now, validate=entity_faults))
            app.on_response_prepare.append(self._note)
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            try:
                await web.TCPSite(runner, "127.0.0.1", 0).start()
                self.host = f"127.0.0.1:{runner.addresses[0][1]}"
                self._feed = feed(self._settings(url), self._parts.stages)
                self._feed.reader.public_url = f"http://{self.host}"
                source = self._parts.stages.scraper.name
                self.live.fetch = partial(self._parts.store.model.file, source)
                self._ready.set()
                await self._end.wait()
            finally:
                await runner.cleanup()

    async def _note(self, request: web.Request, response: web.StreamResponse) -> None:
        self.requests.append((request.path, response.status))

    def _settings(self, url: str) -> Settings:
        return Settings.model_validate(
            {
                "from": url,
                "to": list(self.to),
                "store": f"sqlite:///{self.folder}/{self.prefix}.db",
                "location_prefix": self.prefix,
                "gitlab": {
                    "people": self.people,
                    "defaults": {"project": KEEPER} if self.world.find(KEEPER) else None,
                },
                "token": SecretStr("sandbox-token"),
            }
        )


@contextmanager
def running(site: Site) -> Iterator[Site]:
    """The site, served from a thread of its own, after its first pass."""
    failed: list[BaseException] = []

    def serve() -> None:
        try:
            site._loop.run_until_complete(site._serve())
        except BaseException as error:
            failed.append(error)
        finally:
            site._ready.set()
            site._loop.close()

    thread = threading.Thread(target=serve, name=f"site {site.prefix}")
    thread.start()
    site._ready.wait()
    try:
        if not failed:
            site.make_pass()
            yield site
    finally:
        if thread.is_alive():
            site._loop.call_soon_threadsafe(site._end.set)
        thread.join()
    if failed:
        raise failed[0]
